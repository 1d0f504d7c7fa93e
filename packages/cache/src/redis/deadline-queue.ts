import { TimeoutError, type Clock, type Timer } from '@dharma/core'

interface Waiting {
  readonly dueMs: number
  readonly reject: (error: TimeoutError) => void
  isSettled: boolean
}

/**
 * One limit for many operations with one timer: as all wait equally long, they expire in the order
 * in which they began. A timer for each would cost a tenth of the throughput.
 */
export class DeadlineQueue {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #operation: string
  #waiting: Waiting[] = []
  #head = 0
  #timer: Timer | undefined

  constructor(clock: Clock, timeoutMs: number, operation: string) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#operation = operation
  }

  /** The promise's result, or a {@link TimeoutError}; what comes later is ignored. */
  limit<Result>(promise: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        dueMs: this.#clock.monotonicMs() + this.#timeoutMs,
        reject,
        isSettled: false,
      }
      this.#waiting.push(waiting)
      this.#timer ??= this.#schedule(this.#timeoutMs)
      void promise.then(resolve, reject).finally(() => {
        waiting.isSettled = true
      })
    })
  }

  /** Ends the timer; operations that are still under way have no limit any more. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #schedule(delayMs: number): Timer {
    return this.#clock.setTimeout(() => this.#expire(), delayMs, { keepsAlive: false })
  }

  #expire(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    while (this.#head < this.#waiting.length) {
      const waiting = this.#waiting[this.#head] as Waiting
      if (!waiting.isSettled) {
        if (waiting.dueMs > nowMs) break
        waiting.reject(new TimeoutError(this.#operation, this.#timeoutMs))
      }
      this.#head++
    }
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
    const next = this.#waiting[0]
    if (next !== undefined) this.#timer = this.#schedule(Math.max(1, next.dueMs - nowMs))
  }
}
