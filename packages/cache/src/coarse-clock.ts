import { systemClock, type Clock } from '@dharma/core'

/** Reads of the cached time between two reads of the clock. */
const READS_PER_REFRESH = 32

/**
 * A clock for hot paths: one read in 32 asks the real one, and the time is thrown away with each turn
 * of the event loop, before it waits for anything, so that neither an idle process nor one that stood
 * still while it waited ever sees an old one. Any clock but the system's is asked every time.
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
      setImmediate(this.#expire).unref()
    }
    return this.#nowMs
  }

  readonly #expire = (): void => {
    this.#isExpiring = false
    this.#readsLeft = 0
  }
}
