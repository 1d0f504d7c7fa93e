import type { Clock, Timer } from '@dharma/core'

export interface BreakerOptions {
  readonly clock: Clock
  /** Asks whether Redis answers again. */
  readonly probe: () => Promise<unknown>
  /** Failures in a row that open it. At least 1. */
  readonly maxFailures: number
  /** Between two probes while open. */
  readonly probeEveryMs: number
  readonly onChange: (isOpen: boolean) => void
}

type State = { readonly name: 'closed'; failures: number } | { readonly name: 'open'; timer: Timer }

/**
 * Stops asking a Redis that does not answer. While open, a probe in the background asks instead of
 * callers, so that no caller ever waits to find out.
 */
export class Breaker {
  readonly #options: BreakerOptions
  #state: State = { name: 'closed', failures: 0 }
  #isClosedForGood = false

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#state.name === 'open'
  }

  succeeded(): void {
    if (this.#state.name === 'closed') this.#state.failures = 0
  }

  failed(): void {
    if (this.#state.name === 'open' || this.#isClosedForGood) return
    this.#state.failures++
    if (this.#state.failures >= this.#options.maxFailures) this.open()
  }

  /** Opens at once, as after a lost connection. */
  open(): void {
    if (this.#state.name === 'open' || this.#isClosedForGood) return
    this.#state = { name: 'open', timer: this.#scheduleProbe() }
    this.#options.onChange(true)
  }

  /** Ends probing; the breaker stays as it is. */
  close(): void {
    this.#isClosedForGood = true
    if (this.#state.name === 'open') this.#state.timer.cancel()
  }

  #scheduleProbe(): Timer {
    const { clock, probeEveryMs } = this.#options
    return clock.setTimeout(() => void this.#probe(), probeEveryMs, { keepsAlive: false })
  }

  async #probe(): Promise<void> {
    try {
      await this.#options.probe()
    } catch {
      // Still down: that is what the probe was to find out.
      if (!this.#isClosedForGood) this.#state = { name: 'open', timer: this.#scheduleProbe() }
      return
    }
    if (this.#isClosedForGood) return
    this.#state = { name: 'closed', failures: 0 }
    this.#options.onChange(false)
  }
}
