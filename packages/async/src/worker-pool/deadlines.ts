import type { Clock, Timer } from '@dharma/core'
import type { PoolTask } from './pool-task.ts'

interface Lane {
  first: PoolTask | undefined
  last: PoolTask | undefined
}

/**
 * The time limits of running tasks. Tasks of one limit are due in the order in which they began, so
 * each limit is a linked list, and one timer serves all: adding and removing cost no timer.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #onDue: (task: PoolTask) => void
  readonly #lanes = new Map<number, Lane>()
  #timer: Timer | undefined
  #timerDueMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, onDue: (task: PoolTask) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  add(task: PoolTask, nowMs: number): void {
    let lane = this.#lanes.get(task.timeoutMs)
    if (lane === undefined) {
      lane = { first: undefined, last: undefined }
      this.#lanes.set(task.timeoutMs, lane)
    }
    task.dueMs = nowMs + task.timeoutMs
    task.previous = lane.last
    if (lane.last === undefined) lane.first = task
    else lane.last.next = task
    lane.last = task
    if (task.dueMs < this.#timerDueMs) this.#arm(task.dueMs, nowMs)
  }

  /** Does nothing to a task that is not in it. */
  remove(task: PoolTask): void {
    if (task.dueMs === 0) return
    const lane = this.#lanes.get(task.timeoutMs)
    if (lane === undefined) return
    if (task.previous === undefined) lane.first = task.next
    else task.previous.next = task.next
    if (task.next === undefined) lane.last = task.previous
    else task.next.previous = task.previous
    task.previous = undefined
    task.next = undefined
    task.dueMs = 0
    if (lane.first === undefined && this.#lanes.size > 64) this.#lanes.delete(task.timeoutMs)
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#lanes.clear()
  }

  #arm(dueMs: number, nowMs: number): void {
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer = this.#clock.setTimeout(() => this.#onTimer(), Math.max(0, dueMs - nowMs), {
      keepsAlive: false,
    })
  }

  #onTimer(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#timer = undefined
    this.#timerDueMs = Number.POSITIVE_INFINITY
    let nextMs = Number.POSITIVE_INFINITY
    for (const lane of this.#lanes.values()) {
      while (lane.first !== undefined && lane.first.dueMs <= nowMs) {
        const task = lane.first
        this.remove(task)
        this.#onDue(task)
      }
      if (lane.first !== undefined) nextMs = Math.min(nextMs, lane.first.dueMs)
    }
    if (nextMs < this.#timerDueMs) this.#arm(nextMs, nowMs)
  }
}
