import { DharmaError, systemClock, TimeoutError, type Clock } from '@dharma/core'

/** Options of {@link AdaptiveLimit}. */
export interface AdaptiveLimitOptions {
  /** What errors and metrics call it. @default 'limit' */
  readonly name?: string
  /** Calls at once in the beginning, within `minLimit` and `maxLimit`. @default 20 */
  readonly initialLimit?: number
  /** At least 1. @default 1 */
  readonly minLimit?: number
  /** At least `minLimit`. @default 1_000 */
  readonly maxLimit?: number
  /** How much slower than usual is no sign of overload. At least 1. @default 1.5 */
  readonly tolerance?: number
  /** How much of a newly found limit is taken over at a time, above 0 and at most 1. @default 0.2 */
  readonly smoothing?: number
  /** How long latencies are averaged before the limit moves, in milliseconds. At least 0. @default 100 */
  readonly sampleMs?: number
  /** Whether an error means overload; others say nothing. @default TimeoutError */
  readonly overloadIf?: (error: unknown) => boolean
  /** @default systemClock */
  readonly clock?: Clock
}

/** As many calls are in progress as the service was found to bear: the call was not made. */
export class LimitExceededError extends DharmaError {
  override readonly name = 'LimitExceededError'
  readonly code = 'DHARMA_LIMIT_EXCEEDED'
  readonly limiter: string
  /** Calls at once that were allowed at that moment. */
  readonly limit: number

  constructor(limiter: string, limit: number, options?: ErrorOptions) {
    super(`${limiter} allows ${limit} calls at once at present`, options)
    this.limiter = limiter
    this.limit = limit
  }
}

/** Room for a queue in the service: what lets the limit grow while latencies stay usual. */
const HEADROOM = 4
/** The usual latency is the mean of the first samples, then moves as slowly as over 600 of them. */
const FIRST_SAMPLES = 10
const USUAL_WEIGHT = 2 / (600 + 1)
const MIN_SAMPLES = 10
const OVERLOAD_FACTOR = 0.9

/**
 * A concurrency limit that finds itself: it shrinks when calls take longer than usual and grows
 * while they do not, only as far as it is used. Source: Gradient2 of Netflix's concurrency-limits:
 * limit · clamp(tolerance · usual ÷ recent latency, 0.5, 1) + headroom. Besides, an overload error
 * takes a tenth off, as in Netflix's AIMD limit.
 */
export class AdaptiveLimit {
  readonly #name: string
  readonly #minLimit: number
  readonly #maxLimit: number
  readonly #tolerance: number
  readonly #smoothing: number
  readonly #sampleMs: number
  readonly #overloadIf: (error: unknown) => boolean
  readonly #clock: Clock
  #limit: number
  #inProgress = 0
  #usualMs = 0
  #usualCount = 0
  #sample = { startMs: -Infinity, count: 0, sumMs: 0, maxInProgress: 0, isOverloaded: false }

  /** @throws RangeError when an option is out of its range. */
  constructor(options: AdaptiveLimitOptions = {}) {
    const { name = 'limit', minLimit = 1, maxLimit = 1_000, initialLimit = 20 } = options
    const { tolerance = 1.5, smoothing = 0.2, sampleMs = 100, clock = systemClock } = options
    if (!(minLimit >= 1)) throw new RangeError(`minLimit must be at least 1, got ${minLimit}`)
    if (!(maxLimit >= minLimit && maxLimit < Infinity)) {
      throw new RangeError(`maxLimit must be at least minLimit (${minLimit}), got ${maxLimit}`)
    }
    if (!(initialLimit >= minLimit && initialLimit <= maxLimit)) {
      throw new RangeError(
        `initialLimit must be within ${minLimit}–${maxLimit}, got ${initialLimit}`,
      )
    }
    if (!(tolerance >= 1)) throw new RangeError(`tolerance must be at least 1, got ${tolerance}`)
    if (!(smoothing > 0 && smoothing <= 1)) {
      throw new RangeError(`smoothing must be above 0 and at most 1, got ${smoothing}`)
    }
    if (!(sampleMs >= 0)) throw new RangeError(`sampleMs must be at least 0, got ${sampleMs}`)
    this.#name = name
    this.#minLimit = minLimit
    this.#maxLimit = maxLimit
    this.#tolerance = tolerance
    this.#smoothing = smoothing
    this.#sampleMs = sampleMs
    this.#overloadIf = options.overloadIf ?? ((error) => error instanceof TimeoutError)
    this.#clock = clock
    this.#limit = initialLimit
  }

  /** Calls allowed at once at present. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  get inProgress(): number {
    return this.#inProgress
  }

  /**
   * Calls `fn` unless the limit is reached.
   *
   * @throws LimitExceededError if it is, else whatever `fn` throws.
   */
  async execute<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    this.enter()
    const startMs = this.#clock.monotonicMs()
    try {
      const value = await fn()
      this.succeed(startMs)
      return value
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  /** For compositions: takes a slot, which must be given back by `succeed` or `fail`. */
  enter(): void {
    if (this.#inProgress >= this.limit) throw new LimitExceededError(this.#name, this.limit)
    this.#inProgress += 1
    this.#sample.maxInProgress = Math.max(this.#sample.maxInProgress, this.#inProgress)
  }

  /** The call that began at `startMs` succeeded: how long it took is a sample. */
  succeed(startMs: number): void {
    this.#inProgress -= 1
    const nowMs = this.#clock.monotonicMs()
    this.#sample.count += 1
    this.#sample.sumMs += nowMs - startMs
    this.#endSampleIfDue(nowMs)
  }

  /** The call failed: how long it took says nothing, what it threw may. */
  fail(error: unknown): void {
    this.#inProgress -= 1
    if (!this.#overloadIf(error)) return
    this.#sample.isOverloaded = true
    this.#endSampleIfDue(this.#clock.monotonicMs())
  }

  #endSampleIfDue(nowMs: number): void {
    const { startMs, count, sumMs, maxInProgress, isOverloaded } = this.#sample
    if (nowMs - startMs < this.#sampleMs || (count < MIN_SAMPLES && !isOverloaded)) return
    this.#sample = {
      startMs: nowMs,
      count: 0,
      sumMs: 0,
      maxInProgress: this.#inProgress,
      isOverloaded: false,
    }
    if (isOverloaded) this.#set(this.#limit * OVERLOAD_FACTOR)
    else this.#update(sumMs / count, maxInProgress)
  }

  #update(recentMs: number, maxInProgress: number): void {
    this.#addUsual(recentMs)
    if (maxInProgress < this.#limit / 2) return
    const gradient = recentMs > 0 ? clamp((this.#tolerance * this.#usualMs) / recentMs, 0.5, 1) : 1
    const found = this.#limit * gradient + HEADROOM
    this.#set(this.#limit * (1 - this.#smoothing) + found * this.#smoothing)
  }

  /** A mean at first, then moving; led back quickly once a long overload is over. */
  #addUsual(recentMs: number): void {
    this.#usualCount += 1
    const isFirst = this.#usualCount <= FIRST_SAMPLES
    this.#usualMs += (recentMs - this.#usualMs) * (isFirst ? 1 / this.#usualCount : USUAL_WEIGHT)
    if (this.#usualMs > 2 * recentMs) this.#usualMs *= 0.95
  }

  #set(limit: number): void {
    this.#limit = clamp(limit, this.#minLimit, this.#maxLimit)
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}
