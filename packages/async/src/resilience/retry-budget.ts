import { systemClock, type Clock } from '@dharma/core'

/** Options of {@link RetryBudget}. */
export interface RetryBudgetOptions {
  /** Retries allowed per call, 0–1: 0.1 lets retries add a tenth to the load. @default 0.1 */
  readonly ratio?: number
  /** Retries allowed per second however few the calls, so that a quiet service retries at all. At least 0. @default 1 */
  readonly minRetriesPerSecond?: number
  /** Retries that can be saved up, and what a new budget starts with. At least 1. @default 100 */
  readonly maxSaved?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** Whole numbers stand for fractions of a token, so that ten tenths are exactly one retry. */
const UNITS = 1_000_000

/**
 * A bound on the retries (and hedges) of a whole service, shared by all its callers, so that in an
 * outage they add a fixed share to the load instead of multiplying it. A token bucket: each call
 * pays in `ratio`, each retry takes 1, and the rest is denied.
 * Sources: Beyer et al., "Site Reliability Engineering", chapter 21; Finagle's `RetryBudget`.
 */
export class RetryBudget {
  readonly #perCall: number
  readonly #perMs: number
  readonly #max: number
  readonly #clock: Clock
  #units: number
  #refilledMs: number
  #calls = 0
  #retries = 0
  #denied = 0

  /** @throws RangeError when an option is out of its range. */
  constructor(options: RetryBudgetOptions = {}) {
    const { ratio = 0.1, minRetriesPerSecond = 1, maxSaved = 100, clock = systemClock } = options
    if (!(ratio >= 0 && ratio <= 1)) throw new RangeError(`ratio must be within 0–1, got ${ratio}`)
    if (!(minRetriesPerSecond >= 0 && Number.isFinite(minRetriesPerSecond))) {
      throw new RangeError(
        `minRetriesPerSecond must be a finite number of at least 0, got ${minRetriesPerSecond}`,
      )
    }
    if (!(maxSaved >= 1 && Number.isFinite(maxSaved))) {
      throw new RangeError(`maxSaved must be a finite number of at least 1, got ${maxSaved}`)
    }
    this.#perCall = Math.round(ratio * UNITS)
    this.#perMs = (minRetriesPerSecond * UNITS) / 1000
    this.#max = Math.round(maxSaved * UNITS)
    this.#units = this.#max
    this.#clock = clock
    this.#refilledMs = clock.monotonicMs()
  }

  /** Retries that could be made at this moment. */
  get available(): number {
    this.#refill()
    return Math.floor(this.#units / UNITS)
  }

  /** What was counted since the start. */
  get stats(): { readonly calls: number; readonly retries: number; readonly denied: number } {
    return { calls: this.#calls, retries: this.#retries, denied: this.#denied }
  }

  /** Pays in for a first attempt. */
  recordCall(): void {
    this.#calls += 1
    this.#units = Math.min(this.#max, this.#units + this.#perCall)
  }

  /** Takes one retry out, or says `false` when there is none left. */
  tryRetry(): boolean {
    this.#refill()
    if (this.#units < UNITS) {
      this.#denied += 1
      return false
    }
    this.#units -= UNITS
    this.#retries += 1
    return true
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#units = Math.min(this.#max, this.#units + (nowMs - this.#refilledMs) * this.#perMs)
    this.#refilledMs = nowMs
  }
}
