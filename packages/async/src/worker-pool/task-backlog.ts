import { Fifo } from './fifo.ts'
import type { PoolTask } from './pool-task.ts'

/**
 * Tasks that wait for a worker, by priority, first come first served within one. Waiting counts: a
 * task that has waited `agingMs` longer is ahead of one whose priority is one higher, so nothing
 * starves. Since all age alike, that order never changes while they wait.
 */
export class TaskBacklog {
  readonly #agingMs: number
  readonly #levels = new Map<number, Fifo<PoolTask>>()
  #size = 0
  #gone = 0

  constructor(agingMs: number) {
    this.#agingMs = agingMs
  }

  /** Tasks whose callers still wait. */
  get size(): number {
    return this.#size
  }

  push(task: PoolTask): void {
    this.#level(task.priority).push(task)
    this.#size += 1
  }

  /** Puts back what was out already: it is next of its priority. */
  unshift(task: PoolTask): void {
    this.#level(task.priority).unshift(task)
    this.#size += 1
  }

  peek(): PoolTask | undefined {
    return this.#first()?.peek()
  }

  shift(): PoolTask | undefined {
    const task = this.#first()?.shift()
    if (task !== undefined) this.#size -= 1
    return task
  }

  /** To be told of a waiting task that has been settled; its place is skipped. */
  forget(): void {
    this.#size -= 1
    this.#gone += 1
    if (this.#gone <= this.#size + 1000) return
    this.#gone = 0
    for (const level of this.#levels.values()) level.retain((task) => !task.isSettled)
  }

  #level(priority: number): Fifo<PoolTask> {
    let level = this.#levels.get(priority)
    if (level === undefined) {
      level = new Fifo()
      this.#levels.set(priority, level)
    }
    return level
  }

  /** The level whose head comes next; settled heads are let go on the way. */
  #first(): Fifo<PoolTask> | undefined {
    let first: Fifo<PoolTask> | undefined
    let firstMs = Number.POSITIVE_INFINITY
    for (const level of this.#levels.values()) {
      let head = level.peek()
      while (head?.isSettled === true) {
        level.shift()
        this.#gone = Math.max(0, this.#gone - 1)
        head = level.peek()
      }
      if (head === undefined) continue
      const rankMs = head.enqueuedMs - head.priority * this.#agingMs
      if (rankMs < firstMs) {
        first = level
        firstMs = rankMs
      }
    }
    return first
  }
}
