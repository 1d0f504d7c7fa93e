import { systemClock, TimeoutError, type Clock, type Timer } from '@dharma/core'
import { timerWheelOf } from './timer-wheel.ts'

/** What an operation is told: it should end as soon as the signal aborts. */
export interface CallContext {
  /** Aborts when the result is no longer wanted. Made on first use, so that ignoring it costs nothing. */
  readonly signal: AbortSignal
}

/** Options of {@link withTimeout}. */
export interface TimeoutOptions {
  /** What the error says was waited for. @default 'the operation' */
  readonly operation?: string
  /** Ends the wait and the operation; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** @default systemClock */
  readonly clock?: Clock
}

/**
 * Calls `fn` and rejects if it has not ended after `timeoutMs` (Infinity: never; up to 5 ms late).
 * Then its signal is aborted and what it still returns or throws is dropped. All timeouts of a
 * clock share one timer.
 *
 * @throws TimeoutError when the time is over, the signal's reason when that aborts.
 * @throws RangeError when `timeoutMs` is not above 0.
 */
export function withTimeout<T>(
  fn: (context: CallContext) => T | PromiseLike<T>,
  timeoutMs: number,
  options: TimeoutOptions = {},
): Promise<T> {
  if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
  return new GuardedCall<T>(timeoutMs, options).run(fn)
}

/** An operation in progress that its caller may stop waiting for. */
class GuardedCall<T> implements CallContext {
  readonly #timeoutMs: number
  readonly #operation: string
  readonly #outer: AbortSignal | undefined
  readonly #clock: Clock
  #controller: AbortController | undefined
  #end: { readonly reason: unknown } | undefined
  #timer: Timer | undefined
  #onOuterAbort: (() => void) | undefined
  #settle:
    | { readonly resolve: (value: T) => void; readonly reject: (reason: unknown) => void }
    | undefined

  constructor(timeoutMs: number, options: TimeoutOptions) {
    this.#timeoutMs = timeoutMs
    this.#operation = options.operation ?? 'the operation'
    this.#outer = options.signal
    this.#clock = options.clock ?? systemClock
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#end !== undefined) this.#controller.abort(this.#end.reason)
    }
    return this.#controller.signal
  }

  run(fn: (context: CallContext) => T | PromiseLike<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#outer?.throwIfAborted()
      this.#settle = { resolve, reject }
      this.#arm()
      try {
        const result = fn(this)
        if (isPromiseLike(result)) {
          result.then(
            (value) => this.#resolve(value),
            (error: unknown) => this.#reject(error),
          )
        } else {
          this.#resolve(result)
        }
      } catch (error) {
        this.#reject(error)
      }
    })
  }

  #resolve(value: T): void {
    this.#disarm()
    this.#settle?.resolve(value)
  }

  #reject(reason: unknown): void {
    this.#disarm()
    this.#settle?.reject(reason)
  }

  #arm(): void {
    if (this.#timeoutMs !== Infinity) {
      this.#timer = timerWheelOf(this.#clock).setTimeout(
        () => this.#stop(new TimeoutError(this.#operation, this.#timeoutMs)),
        this.#timeoutMs,
      )
    }
    if (this.#outer !== undefined) {
      this.#onOuterAbort = () => this.#stop(this.#outer?.reason)
      this.#outer.addEventListener('abort', this.#onOuterAbort, { once: true })
    }
  }

  #disarm(): void {
    this.#timer?.cancel()
    if (this.#onOuterAbort !== undefined) {
      this.#outer?.removeEventListener('abort', this.#onOuterAbort)
    }
  }

  #stop(reason: unknown): void {
    this.#end = { reason }
    this.#reject(reason)
    this.#controller?.abort(reason)
  }
}

/** Whether a value has to be waited for. */
export function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}
