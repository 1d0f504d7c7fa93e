import { systemClock, type Clock } from '@dharma/core'

/** Reads of the cached time between two reads of the clock. */
const READS_PER_REFRESH = 32
const MAX_AGE_MS = 5

/**
 * A clock for hot paths: one read in 32 asks the real one, and a time older than 5 ms is thrown
 * away as soon as the event loop turns, so that an idle process never sees an old one. Any clock
 * but the system's is asked every time.
 */
export class CoarseClock {
  readonly #clock: Clock
  readonly #readsPerRefresh: number
  #readsLeft = 0
  #nowMs = 0
  #isExpiring = false

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
    this.#readsPerRefresh = clock === systemClock ? READS_PER_REFRESH : 0
  }

  /** Monotonic milliseconds, at most a few old. */
  nowMs(): number {
    if (this.#readsLeft > 0) {
      this.#readsLeft--
      return this.#nowMs
    }
    return this.#refresh()
  }

  #refresh(): number {
    this.#nowMs = this.#clock.monotonicMs()
    this.#readsLeft = this.#readsPerRefresh
    if (!this.#isExpiring && this.#readsPerRefresh > 0) {
      this.#isExpiring = true
      this.#clock.setTimeout(
        () => {
          this.#isExpiring = false
          this.#readsLeft = 0
        },
        MAX_AGE_MS,
        { keepsAlive: false },
      )
    }
    return this.#nowMs
  }
}
