import type { Clock, Timer } from '@dharma/core'

/** Something that ends by itself at `deadlineMs`, unless it is settled before. */
export interface Expiring {
  /** On the monotonic clock. `Infinity` never expires. */
  readonly deadlineMs: number
  readonly isSettled: boolean
  expire(): void
}

/** Longest sleep of the timer, and so the longest that it outlives the last deadline. */
const MAX_SLEEP_MS = 250
const FEW = 64

/**
 * All deadlines of a pool behind one timer: a binary heap from which what settled leaves lazily.
 * Adding in the order of deadlines, settling, and expiring are O(1) on average, any order O(log n);
 * the settled ones kept never outnumber the live ones by more than a few.
 */
export class DeadlineQueue {
  readonly #clock: Clock
  #heap: Expiring[] = []
  #settled = 0
  #timer: Timer | undefined
  #timerDueMs = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Deadlines kept, the settled ones not swept yet included. */
  get size(): number {
    return this.#heap.length
  }

  add(item: Expiring, nowMs: number): void {
    if (item.deadlineMs === Infinity) return
    this.#push(item)
    if (item.deadlineMs < this.#timerDueMs) this.#arm(nowMs)
  }

  /** To be told of each added item that settles without expiring, after its `isSettled` is true. */
  noteSettled(item: Expiring): void {
    if (item.deadlineMs === Infinity) return
    this.#settled += 1
    if (this.#settled > FEW && this.#settled * 2 > this.#heap.length) this.#sweep()
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerDueMs = Infinity
    this.#heap = []
    this.#settled = 0
  }

  #arm(nowMs: number): void {
    this.#timer?.cancel()
    const dueMs = Math.min(this.#heap[0]?.deadlineMs ?? Infinity, nowMs + MAX_SLEEP_MS)
    this.#timerDueMs = dueMs
    this.#timer = this.#clock.setTimeout(this.#fire, Math.max(0, Math.ceil(dueMs - nowMs)))
  }

  readonly #fire = (): void => {
    this.#timer = undefined
    // What `expire` adds need not arm the timer: that is done below.
    this.#timerDueMs = -Infinity
    const nowMs = this.#clock.monotonicMs()
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.isSettled) this.#settled -= 1
      else if (first.deadlineMs > nowMs) break
      this.#pop()
      if (!first.isSettled) first.expire()
    }
    this.#timerDueMs = Infinity
    if (this.#heap.length > 0) this.#arm(nowMs)
  }

  #sweep(): void {
    // A sorted array is a heap; sorting what is nearly sorted is linear.
    this.#heap = this.#heap
      .filter((item) => !item.isSettled)
      .toSorted((a, b) => a.deadlineMs - b.deadlineMs)
    this.#settled = 0
  }

  #push(item: Expiring): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(item)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex] as Expiring
      if (parent.deadlineMs <= item.deadlineMs) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = item
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Expiring
    const { length } = heap
    if (length === 0) return
    let index = 0
    for (let child = 1; child < length; child = 2 * index + 1) {
      const right = heap[child + 1]
      if (right !== undefined && right.deadlineMs < (heap[child] as Expiring).deadlineMs) child += 1
      const smaller = heap[child] as Expiring
      if (smaller.deadlineMs >= last.deadlineMs) break
      heap[index] = smaller
      index = child
    }
    heap[index] = last
  }
}
