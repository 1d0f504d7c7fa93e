import { performance } from 'node:perf_hooks'

/** Between how many jobs a worker moves by itself. */
export interface ConcurrencyRange {
  /** At least 1. */
  readonly min: number
  /** At least `min`. */
  readonly max: number
}

/** The event loop has no time to spare: more jobs at once only wait for each other. */
const BUSY_RATIO = 0.9
const DOWN_FACTOR = 0.85
const UP_FACTOR = 1.2
/** What a raise must bring to be kept. */
const LEAST_GAIN = 1.03
/** Fewer jobs than this in a look say nothing about throughput. */
const LEAST_ENDED = 10
/** Looks without another raise after one that brought nothing. */
const REST_LOOKS = 10

/**
 * Finds how many jobs at once pay: more while all slots are taken and throughput grows with them,
 * fewer when the event loop is busy all the time, when a raise brought nothing, or when slots stay free.
 */
export class AdaptiveConcurrency {
  readonly #min: number
  readonly #max: number
  readonly #loopRatio: () => number
  #limit: number
  #ended = 0
  #mostRunning = 0
  #before: { readonly limit: number; readonly ended: number } | undefined
  #restLooks = 0

  /** @throws RangeError naming option, limit and value */
  constructor(concurrency: number | ConcurrencyRange, loopRatio: () => number = loopMeter()) {
    const { min, max } =
      typeof concurrency === 'number' ? { min: concurrency, max: concurrency } : concurrency
    const name = typeof concurrency === 'number' ? 'concurrency' : 'concurrency.min'
    if (!Number.isSafeInteger(min) || min < 1) {
      throw new RangeError(`${name} must be a whole number of at least 1, got ${min}`)
    }
    if (!Number.isSafeInteger(max) || max < min) {
      throw new RangeError(
        `concurrency.max must be a whole number of at least min (${min}), got ${max}`,
      )
    }
    this.#min = min
    this.#max = max
    this.#limit = min
    this.#loopRatio = loopRatio
  }

  /** Jobs at once, now. */
  get limit(): number {
    return this.#limit
  }

  get isFixed(): boolean {
    return this.#min === this.#max
  }

  started(running: number): void {
    if (running > this.#mostRunning) this.#mostRunning = running
  }

  ended(): void {
    this.#ended++
  }

  /** Looks back at the time since the last look, and moves. */
  look(running: number): void {
    const before = this.#before
    const ended = this.#ended
    const used = Math.max(running, this.#mostRunning)
    this.#before = undefined
    this.#ended = 0
    this.#mostRunning = running
    if (this.#loopRatio() > BUSY_RATIO) {
      this.#limit = Math.max(this.#min, Math.floor(this.#limit * DOWN_FACTOR))
      return
    }
    if (used < this.#limit) {
      const excess = this.#limit - Math.max(used, this.#min)
      this.#limit -= Math.ceil(excess / 10)
      return
    }
    const hasNoGain =
      before !== undefined && before.ended >= LEAST_ENDED && ended < before.ended * LEAST_GAIN
    if (hasNoGain) {
      this.#limit = before.limit
      this.#restLooks = REST_LOOKS
      return
    }
    if (this.#restLooks > 0) {
      this.#restLooks--
      return
    }
    this.#before = { limit: this.#limit, ended }
    this.#limit = Math.min(this.#max, Math.ceil(this.#limit * UP_FACTOR))
    if (this.#limit === this.#before.limit) this.#before = undefined
  }
}

/** The part of the time since its last call that the event loop was busy, 0–1. */
function loopMeter(): () => number {
  let last = performance.eventLoopUtilization()
  return () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    return utilization
  }
}
