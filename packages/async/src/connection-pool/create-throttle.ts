/** Decides when the factory may be asked: not too often at once, and hardly at all while it fails. */
export interface CreateThrottleOptions {
  readonly concurrency: number
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  readonly random: () => number
}

/** `paused` until a time; then one attempt alone, as the half-open state of a breaker. */
export type ThrottleState =
  | { readonly kind: 'open' }
  | {
      readonly kind: 'paused'
      readonly untilMs: number
      readonly failures: number
      readonly error: Error
    }

/**
 * Equal jitter: uniform in [d/2, d) with d = min(maxMs, baseMs · 2^(failures − 1)), so that a pause
 * is never near 0. Source: Brooker, "Exponential Backoff and Jitter", AWS 2015.
 */
export class CreateThrottle {
  readonly #options: CreateThrottleOptions
  #state: ThrottleState = { kind: 'open' }

  constructor(options: CreateThrottleOptions) {
    this.#options = options
  }

  get state(): ThrottleState {
    return this.#state
  }

  mayStart(nowMs: number, creating: number): boolean {
    if (this.#state.kind === 'open') return creating < this.#options.concurrency
    return creating === 0 && nowMs >= this.#state.untilMs
  }

  succeeded(): void {
    this.#state = { kind: 'open' }
  }

  /** Failures of attempts that began before the present pause do not lengthen it. */
  failed(error: Error, nowMs: number): void {
    const state = this.#state
    if (state.kind === 'paused' && nowMs < state.untilMs) return
    const failures = state.kind === 'paused' ? state.failures + 1 : 1
    const { backoffBaseMs, backoffMaxMs, random } = this.#options
    const ceilingMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** (failures - 1))
    const untilMs = nowMs + (ceilingMs * (1 + random())) / 2
    this.#state = { kind: 'paused', untilMs, failures, error }
  }
}
