import type { Transferable } from 'node:worker_threads'
import type { PoolFunction } from './pool-function.ts'
import type { PoolWorker } from './pool-worker.ts'

/** Tasks that were sent in one message, of which so many are unanswered. */
export interface Batch {
  unanswered: number
}

/** What a task is made of. */
export interface PoolTaskInit {
  readonly id: number
  readonly fn: PoolFunction
  readonly args: readonly unknown[]
  readonly transfer: readonly Transferable[] | undefined
  readonly timeoutMs: number
  readonly priority: number
  readonly signal: AbortSignal | undefined
  readonly enqueuedMs: number
  /** Called once, when the caller's promise settles. */
  readonly onSettled: () => void
}

/**
 * A task from `run` to its end. Two things end apart: the caller's promise settles once, at the
 * latest when time is up or the signal aborts; the slot in the worker is free when the worker says
 * so or is gone.
 */
export class PoolTask {
  readonly id: number
  readonly fn: PoolFunction
  readonly transfer: readonly Transferable[] | undefined
  readonly timeoutMs: number
  readonly priority: number
  readonly signal: AbortSignal | undefined
  readonly enqueuedMs: number
  readonly promise: Promise<unknown>
  /** Dropped when the caller's promise settles. */
  args: readonly unknown[]
  /** Times that a worker ended with this task in its hands, not begun. */
  moves = 0
  isSettled = false
  worker: PoolWorker | undefined
  slot = -1
  /** What it is called between its worker and the pool; a new one each time that it is sent. */
  ticket = 0
  batch: Batch | undefined
  /** First in line of its worker; the time from which its limit counts. */
  isRunning = false
  /** What its function was taken for when it was sent. */
  wasShort = false
  /** Links of the list of deadlines that it is in. */
  dueMs = 0
  previous: PoolTask | undefined
  next: PoolTask | undefined
  /** Why the caller gave it up while it ran. */
  stopReason: unknown
  onAbort: (() => void) | undefined
  readonly #onSettled: () => void
  #resolve!: (value: unknown) => void
  #reject!: (reason: unknown) => void

  constructor(init: PoolTaskInit) {
    this.id = init.id
    this.fn = init.fn
    this.args = init.args
    this.transfer = init.transfer
    this.timeoutMs = init.timeoutMs
    this.priority = init.priority
    this.signal = init.signal
    this.enqueuedMs = init.enqueuedMs
    this.#onSettled = init.onSettled
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Whether it may lie in a worker behind others. */
  get isShort(): boolean {
    return this.fn.isShort && this.moves === 0 && this.transfer === undefined
  }

  /** `false` if the caller has an answer already. */
  resolve(value: unknown): boolean {
    if (!this.#settle()) return false
    this.#resolve(value)
    return true
  }

  /** `false` if the caller has an answer already. */
  reject(reason: unknown): boolean {
    if (!this.#settle()) return false
    this.#reject(reason)
    return true
  }

  #settle(): boolean {
    if (this.isSettled) return false
    this.isSettled = true
    this.args = []
    if (this.onAbort !== undefined) {
      this.signal?.removeEventListener('abort', this.onAbort)
      this.onAbort = undefined
    }
    this.#onSettled()
    return true
  }
}
