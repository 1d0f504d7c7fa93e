import { DharmaError, systemClock, type Clock } from '@dharma/core'
import { OutcomeWindow } from './outcome-window.ts'

/** Options of {@link CircuitBreaker}. */
export interface CircuitBreakerOptions {
  /** What errors and metrics call it. @default 'circuit' */
  readonly name?: string
  /** Share of failed calls from which it opens, above 0 and at most 1. @default 0.5 */
  readonly failureRatio?: number
  /** A call that takes longer counts as slow, in milliseconds; above 0. @default Infinity */
  readonly slowCallMs?: number
  /** Share of slow calls from which it opens, above 0 and at most 1. @default 0.8 */
  readonly slowCallRatio?: number
  /** Calls in the window below which no ratio is judged. At least 1. @default 20 */
  readonly minCalls?: number
  /** Failures in a row that open it whatever the ratios. At least 1. @default Infinity */
  readonly consecutiveFailures?: number
  /** How far back calls count, in milliseconds; above 0. @default 10_000 */
  readonly windowMs?: number
  /** How long it stays open the first time; each failed trial doubles it. Above 0. @default 5_000 */
  readonly openMs?: number
  /** It stays open no longer, in milliseconds; at least `openMs`. @default 60_000 */
  readonly maxOpenMs?: number
  /** Trial calls let through half-open, all of which must succeed. At least 1. @default 1 */
  readonly trialCalls?: number
  /** Whether an error speaks against the service; others count as success. @default every error */
  readonly failureIf?: (error: unknown) => boolean
  /** Told of each change. Must not throw. */
  readonly onStateChange?: ((state: CircuitState) => void) | undefined
  /** @default systemClock */
  readonly clock?: Clock
}

/** Closed lets calls through, open lets none through, half-open lets trials through. */
export type CircuitState = 'closed' | 'open' | 'half-open'

/** The circuit is open, or its trials are under way: the call was not made. */
export class CircuitOpenError extends DharmaError {
  override readonly name = 'CircuitOpenError'
  readonly code = 'DHARMA_CIRCUIT_OPEN'
  readonly circuit: string
  /** When a call may be let through again. */
  readonly retryAfterMs: number

  constructor(circuit: string, retryAfterMs: number, options?: ErrorOptions) {
    super(`${circuit} is open, retry after ${Math.ceil(retryAfterMs)} ms`, options)
    this.circuit = circuit
    this.retryAfterMs = retryAfterMs
  }
}

interface Closed {
  readonly state: 'closed'
}

interface Open {
  readonly state: 'open'
  readonly untilMs: number
  readonly openMs: number
}

interface HalfOpen {
  readonly state: 'half-open'
  /** Trials that never end must not keep it half-open: then it begins anew. */
  readonly untilMs: number
  readonly openMs: number
  inProgress: number
  successes: number
}

/** A call that was let through. It counts only for the phase that let it through. */
export type CircuitPermit = Closed | HalfOpen

/**
 * Stops calling a service that fails or is slow, and tries it again after a while. Ratios are
 * judged over a sliding time window. Sources: Nygard, "Release It!", chapter 5; the slow-call rule
 * and the trial phase as in Resilience4j.
 */
export class CircuitBreaker {
  readonly #name: string
  readonly #failureRatio: number
  readonly #slowCallMs: number
  readonly #slowCallRatio: number
  readonly #minCalls: number
  readonly #maxConsecutive: number
  readonly #openMs: number
  readonly #maxOpenMs: number
  readonly #trialCalls: number
  readonly #failureIf: ((error: unknown) => boolean) | undefined
  readonly #onStateChange: ((state: CircuitState) => void) | undefined
  readonly #clock: Clock
  readonly #window: OutcomeWindow
  #phase: Closed | Open | HalfOpen = { state: 'closed' }
  #consecutive = 0

  /** @throws RangeError when an option is out of its range. */
  constructor(options: CircuitBreakerOptions = {}) {
    const { name = 'circuit', clock = systemClock, failureIf, onStateChange } = options
    this.#name = name
    this.#failureRatio = ratio('failureRatio', options.failureRatio ?? 0.5)
    this.#slowCallMs = above('slowCallMs', options.slowCallMs ?? Infinity, 0)
    this.#slowCallRatio = ratio('slowCallRatio', options.slowCallRatio ?? 0.8)
    this.#minCalls = count('minCalls', options.minCalls ?? 20)
    this.#maxConsecutive = count('consecutiveFailures', options.consecutiveFailures ?? Infinity)
    this.#openMs = above('openMs', options.openMs ?? 5_000, 0)
    this.#maxOpenMs = options.maxOpenMs ?? Math.max(60_000, this.#openMs)
    if (!(this.#maxOpenMs >= this.#openMs)) {
      throw new RangeError(
        `maxOpenMs must be at least openMs (${this.#openMs}), got ${this.#maxOpenMs}`,
      )
    }
    this.#trialCalls = count('trialCalls', options.trialCalls ?? 1)
    this.#failureIf = failureIf
    this.#onStateChange = onStateChange
    this.#clock = clock
    this.#window = new OutcomeWindow(above('windowMs', options.windowMs ?? 10_000, 0))
  }

  /** Where it stands; it leaves `open` with the first call after its time, not by a timer. */
  get state(): CircuitState {
    return this.#phase.state
  }

  /**
   * Calls `fn` if the circuit lets it through.
   *
   * @throws CircuitOpenError if not, else whatever `fn` throws.
   */
  async execute<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    const startMs = this.#clock.monotonicMs()
    const permit = this.enter(startMs)
    try {
      const value = await fn()
      this.succeed(permit, startMs)
      return value
    } catch (error) {
      this.fail(permit, startMs, error)
      throw error
    }
  }

  /** For compositions: asks for a permit, which must be given back by one of the three below. */
  enter(nowMs: number): CircuitPermit {
    const phase = this.#phase
    switch (phase.state) {
      case 'closed':
        return phase
      case 'open':
        if (nowMs < phase.untilMs) throw new CircuitOpenError(this.#name, phase.untilMs - nowMs)
        return this.#beginTrial(this.#toHalfOpen(phase.openMs, nowMs))
      case 'half-open':
        if (phase.inProgress + phase.successes < this.#trialCalls) return this.#beginTrial(phase)
        if (nowMs < phase.untilMs) throw new CircuitOpenError(this.#name, phase.untilMs - nowMs)
        return this.#beginTrial(this.#toHalfOpen(phase.openMs, nowMs))
    }
  }

  /** The call that began at `startMs` succeeded. */
  succeed(permit: CircuitPermit, startMs: number): void {
    if (permit !== this.#phase) return
    const nowMs = this.#clock.monotonicMs()
    const isSlow = nowMs - startMs > this.#slowCallMs
    if (permit.state === 'half-open') {
      this.#endTrial(permit, isSlow, nowMs)
      return
    }
    this.#consecutive = 0
    this.#window.add(nowMs, false, isSlow)
    if (isSlow) this.#judge(nowMs)
  }

  /** The call that began at `startMs` failed. */
  fail(permit: CircuitPermit, startMs: number, error: unknown): void {
    if (permit !== this.#phase) return
    if (this.#failureIf?.(error) === false) {
      this.succeed(permit, startMs)
      return
    }
    const nowMs = this.#clock.monotonicMs()
    if (permit.state === 'half-open') {
      this.#endTrial(permit, true, nowMs)
      return
    }
    this.#consecutive += 1
    this.#window.add(nowMs, true, nowMs - startMs > this.#slowCallMs)
    this.#judge(nowMs)
  }

  /** The call says nothing about the service: it was cancelled, or not made after all. */
  cancel(permit: CircuitPermit): void {
    if (permit === this.#phase && permit.state === 'half-open') permit.inProgress -= 1
  }

  #judge(nowMs: number): void {
    const { calls, failures, slow } = this.#window.totals(nowMs)
    const isJudged = calls >= this.#minCalls
    const isFailing = isJudged && failures >= this.#failureRatio * calls
    const isSlow = isJudged && slow >= this.#slowCallRatio * calls
    const isOver = isFailing || isSlow || this.#consecutive >= this.#maxConsecutive
    if (isOver) this.#toOpen(this.#openMs, nowMs)
  }

  #beginTrial(phase: HalfOpen): HalfOpen {
    phase.inProgress += 1
    return phase
  }

  #endTrial(phase: HalfOpen, hasFailed: boolean, nowMs: number): void {
    phase.inProgress -= 1
    if (hasFailed) {
      this.#toOpen(Math.min(this.#maxOpenMs, phase.openMs * 2), nowMs)
      return
    }
    phase.successes += 1
    if (phase.successes < this.#trialCalls) return
    this.#window.clear()
    this.#consecutive = 0
    this.#setPhase({ state: 'closed' })
  }

  #toOpen(openMs: number, nowMs: number): void {
    this.#setPhase({ state: 'open', untilMs: nowMs + openMs, openMs })
  }

  #toHalfOpen(openMs: number, nowMs: number): HalfOpen {
    const phase: HalfOpen = {
      state: 'half-open',
      untilMs: nowMs + openMs,
      openMs,
      inProgress: 0,
      successes: 0,
    }
    this.#setPhase(phase)
    return phase
  }

  #setPhase(phase: Closed | Open | HalfOpen): void {
    this.#phase = phase
    this.#onStateChange?.(phase.state)
  }
}

function ratio(option: string, value: number): number {
  if (value > 0 && value <= 1) return value
  throw new RangeError(`${option} must be above 0 and at most 1, got ${value}`)
}

function above(option: string, value: number, min: number): number {
  if (value > min) return value
  throw new RangeError(`${option} must be above ${min}, got ${value}`)
}

function count(option: string, value: number): number {
  if (value >= 1 && (Number.isInteger(value) || value === Infinity)) return value
  throw new RangeError(`${option} must be a whole number of at least 1, got ${value}`)
}
