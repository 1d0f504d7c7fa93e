import { TimeoutError, type Clock, type Timer } from '@dharma/core'

interface Waiting {
  readonly dueMs: number
  readonly reject: (error: TimeoutError) => void
  previous: Waiting | undefined
  next: Waiting | undefined
}

/**
 * One limit for many operations with one timer: as all wait equally long, they expire in the order
 * in which they began. A timer for each would cost a tenth of the throughput. What has ended is
 * let go at once, so that it does not live long enough to be moved to the old generation.
 */
export class DeadlineQueue {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #operation: string
  #oldest: Waiting | undefined
  #newest: Waiting | undefined
  #timer: Timer | undefined

  constructor(clock: Clock, timeoutMs: number, operation: string) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#operation = operation
  }

  /** The promise's result, or a {@link TimeoutError}; what comes later is ignored. */
  limit<Result>(promise: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiting = this.#add(reject)
      const end = (): void => this.#remove(waiting)
      promise.then(end, end)
      promise.then(resolve, reject)
    })
  }

  /** Ends the timer; operations that are still under way have no limit any more. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #add(reject: (error: TimeoutError) => void): Waiting {
    const dueMs = this.#clock.monotonicMs() + this.#timeoutMs
    const waiting: Waiting = { dueMs, reject, previous: this.#newest, next: undefined }
    if (this.#newest === undefined) this.#oldest = waiting
    else this.#newest.next = waiting
    this.#newest = waiting
    this.#timer ??= this.#schedule(this.#timeoutMs)
    return waiting
  }

  /** Does nothing for one that has expired: it stands between nobody, and is not the oldest. */
  #remove(waiting: Waiting): void {
    const { previous, next } = waiting
    if (previous !== undefined) previous.next = next
    else if (this.#oldest === waiting) this.#oldest = next
    if (next !== undefined) next.previous = previous
    else if (this.#newest === waiting) this.#newest = previous
    waiting.previous = undefined
    waiting.next = undefined
  }

  #schedule(delayMs: number): Timer {
    return this.#clock.setTimeout(() => this.#expire(), delayMs, { keepsAlive: false })
  }

  #expire(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    for (let oldest = this.#oldest; oldest !== undefined; oldest = this.#oldest) {
      if (oldest.dueMs > nowMs) {
        this.#timer = this.#schedule(Math.max(1, oldest.dueMs - nowMs))
        return
      }
      this.#remove(oldest)
      oldest.reject(new TimeoutError(this.#operation, this.#timeoutMs))
    }
  }
}
