import { systemClock, type Clock, type Timer } from '@dharma/core'
import type { LatencyQuantile } from './latency-quantile.ts'
import type { AttemptContext } from './retry.ts'
import type { RetryBudget } from './retry-budget.ts'
import { timerWheelOf } from './timer-wheel.ts'

/** Options of {@link hedge}. */
export interface HedgeOptions {
  /**
   * How long to wait for an answer before a further call is made, in milliseconds: fixed, or what
   * a share of the calls does not exceed. Keep one {@link LatencyQuantile} per service; these calls
   * feed it.
   */
  readonly after: number | LatencyQuantile
  /** Further calls at most. At least 1. @default 1 */
  readonly maxHedges?: number
  /** Shared by all that call the same service; what it denies is not hedged. @default none */
  readonly budget?: RetryBudget | undefined
  /** Ends the wait and the calls; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Told of each further call, by its number from 2. Must not throw. */
  readonly onHedge?: ((attempt: number) => void) | undefined
  /** @default systemClock */
  readonly clock?: Clock
}

/**
 * Calls `fn`, and once more if the answer is late; the first success counts and the other calls are
 * aborted. Only for operations that may be done twice. An error counts only when no call is left in
 * progress. Source: Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013.
 *
 * @throws the last call's error; the signal's reason when it aborts.
 * @throws RangeError when an option is out of its range.
 */
export function hedge<T>(
  fn: (context: AttemptContext) => T | PromiseLike<T>,
  options: HedgeOptions,
): Promise<T> {
  const { after, maxHedges = 1 } = options
  if (typeof after === 'number' && !(after >= 0)) {
    throw new RangeError(`after must be at least 0, got ${after}`)
  }
  if (!(Number.isInteger(maxHedges) && maxHedges >= 1)) {
    throw new RangeError(`maxHedges must be a whole number of at least 1, got ${maxHedges}`)
  }
  return new HedgedCall(fn, options).run()
}

class HedgedCall<T> {
  readonly #fn: (context: AttemptContext) => T | PromiseLike<T>
  readonly #options: HedgeOptions
  readonly #clock: Clock
  readonly #calls: AbortController[] = []
  readonly #result = Promise.withResolvers<T>()
  #startMs = 0
  #inProgress = 0
  #isOver = false
  #timer: Timer | undefined

  constructor(fn: (context: AttemptContext) => T | PromiseLike<T>, options: HedgeOptions) {
    this.#fn = fn
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  run(): Promise<T> {
    const { signal, budget } = this.#options
    if (signal?.aborted === true) {
      this.#result.reject(signal.reason)
      return this.#result.promise
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    budget?.recordCall()
    this.#startMs = this.#clock.monotonicMs()
    this.#start()
    return this.#result.promise
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#options.signal?.reason
    this.#end(reason)
    this.#result.reject(reason)
  }

  #start(): void {
    const call = new AbortController()
    this.#calls.push(call)
    this.#inProgress += 1
    void this.#attempt(call, this.#calls.length)
    this.#setTimer()
  }

  #setTimer(): void {
    const { after, maxHedges = 1 } = this.#options
    const afterMs = typeof after === 'number' ? after : after.valueMs
    if (this.#isOver || this.#calls.length > maxHedges || afterMs === Infinity) return
    this.#timer = timerWheelOf(this.#clock).setTimeout(() => this.#hedge(), afterMs)
  }

  #hedge(): void {
    const { budget, onHedge } = this.#options
    if (budget?.tryRetry() === false) return
    onHedge?.(this.#calls.length + 1)
    this.#start()
  }

  async #attempt(call: AbortController, attempt: number): Promise<void> {
    try {
      const value = await this.#fn({ attempt, signal: call.signal })
      if (this.#isOver) return
      this.#end(new DOMException('another call answered first', 'AbortError'), call)
      this.#result.resolve(value)
    } catch (error) {
      this.#inProgress -= 1
      if (this.#isOver || this.#inProgress > 0) return
      this.#end(error, call)
      this.#result.reject(error)
    }
  }

  /**
   * A first call that is aborted took at least this long, and longer than the quantile: as a sample
   * that is as good as its true latency.
   */
  #end(reason: unknown, except?: AbortController): void {
    this.#isOver = true
    this.#timer?.cancel()
    const { signal, after } = this.#options
    signal?.removeEventListener('abort', this.#onAbort)
    if (typeof after === 'object' && signal?.aborted !== true) {
      after.add(this.#clock.monotonicMs() - this.#startMs)
    }
    for (const call of this.#calls) {
      if (call !== except) call.abort(reason)
    }
  }
}
