import { sleepOn, type Clock, type Timer } from '../clock.ts'

export interface ManualClockOptions {
  /** Where {@link ManualClock.now} starts, in milliseconds since the epoch. @default 1_700_000_000_000 */
  readonly startMs?: number
}

interface PendingTimer {
  dueMs: number
  readonly order: number
  readonly everyMs: number | undefined
  readonly callback: () => void
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  readonly #pending = new Set<PendingTimer>()
  readonly #startMs: number
  #elapsedMs = 0
  #skewMs = 0
  #order = 0

  constructor({ startMs = 1_700_000_000_000 }: ManualClockOptions = {}) {
    this.#startMs = startMs
  }

  /** Timers that have not fired: what a test asserts to be 0 after `close()`. */
  get pendingTimers(): number {
    return this.#pending.size
  }

  now(): number {
    return this.#startMs + this.#elapsedMs + this.#skewMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#add(callback, delayMs, undefined)
  }

  setInterval(callback: () => void, everyMs: number): Timer {
    return this.#add(callback, everyMs, Math.max(1, everyMs))
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal)
  }

  /** Sets the wall clock forward or back without moving any timer, as an administrator would. */
  skew(byMs: number): void {
    this.#skewMs += byMs
  }

  /**
   * Moves time forward and fires what comes due, in order. Promise callbacks run between any two
   * timers, so that a timer set by one of them within `byMs` fires too.
   */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#elapsedMs + byMs
    await settle()
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs)
      if (next.everyMs === undefined) this.#pending.delete(next)
      else next.dueMs += next.everyMs
      next.callback()
      await settle()
    }
    this.#elapsedMs = untilMs
  }

  #add(callback: () => void, delayMs: number, everyMs: number | undefined): Timer {
    const timer: PendingTimer = {
      dueMs: this.#elapsedMs + Math.max(0, delayMs),
      order: this.#order++,
      everyMs,
      callback,
    }
    this.#pending.add(timer)
    return { cancel: () => void this.#pending.delete(timer) }
  }

  #next(untilMs: number): PendingTimer | undefined {
    let first: PendingTimer | undefined
    for (const timer of this.#pending) {
      if (timer.dueMs > untilMs) continue
      if (first === undefined || timer.dueMs < first.dueMs) first = timer
      else if (timer.dueMs === first.dueMs && timer.order < first.order) first = timer
    }
    return first
  }
}

/** A turn of the event loop: every promise callback that was ready has run, whatever its depth. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
