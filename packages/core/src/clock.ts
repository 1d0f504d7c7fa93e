import { toError } from './errors.ts'

/** A timer that can be ended before it fires; ending one that fired does nothing. */
export interface Timer {
  cancel(): void
}

/** What {@link Clock.setTimeout} and {@link Clock.setInterval} may be told. */
export interface TimerOptions {
  /** Whether this timer alone keeps the process alive. @default true */
  readonly keepsAlive?: boolean
}

/**
 * Time as a dependency: components take one through their options, so that tests advance it
 * (`ManualClock` of `@dharma/core/testing`) and never sleep.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump when the machine's clock is set. */
  now(): number
  /** Milliseconds since an arbitrary start, with fractions. Never goes back: measure with it. */
  monotonicMs(): number
  setTimeout(callback: () => void, delayMs: number, options?: TimerOptions): Timer
  setInterval(callback: () => void, everyMs: number, options?: TimerOptions): Timer
  /** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

/** The machine's clock and the event loop's timers. */
export const systemClock: Clock = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  setTimeout(callback, delayMs, options) {
    const timer = setTimeout(callback, delayMs)
    if (options?.keepsAlive === false) timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  setInterval(callback, everyMs, options) {
    const timer = setInterval(callback, everyMs)
    if (options?.keepsAlive === false) timer.unref()
    return { cancel: () => clearInterval(timer) }
  },
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
}

/** {@link Clock.sleep} in terms of a clock's own `setTimeout`. */
export function sleepOn(
  clock: Pick<Clock, 'setTimeout'>,
  delayMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const onAbort = (): void => {
      timer.cancel()
      reject(toError(signal?.reason))
    }
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, delayMs)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
