import type { Clock, Timer } from '@dharma/core'

/**
 * Time to the nearest tick, for paths where reading the clock (50 ns) would cost more than the work.
 * It ticks while there is something to do and sleeps otherwise; waking reads the exact time. After
 * a blocked event loop the tick is among the first callbacks that run, so time is stale only inside
 * the blocking turn itself.
 */
export class CoarseClock {
  /** Never ahead of the monotonic clock, and behind it by less than a tick while {@link isTicking}. */
  nowMs: number
  isTicking = false
  readonly tickMs: number
  readonly #clock: Clock
  readonly #random: () => number
  readonly #onTick: () => number
  #timer: Timer | undefined

  /**
   * `tickMs` is the longest time between ticks; it is shortened at random by up to a half, so that
   * what is sampled at ticks is not in step with what is sampled. `onTick` returns for how many
   * milliseconds there is nothing to do; `Infinity` for all time.
   */
  constructor(clock: Clock, random: () => number, tickMs: number, onTick: () => number) {
    this.#clock = clock
    this.#random = random
    this.tickMs = tickMs
    this.#onTick = onTick
    this.nowMs = clock.monotonicMs()
  }

  /** The exact time, which the coarse one catches up with. */
  read(): number {
    this.nowMs = this.#clock.monotonicMs()
    return this.nowMs
  }

  /** To be called before {@link nowMs} is used, unless {@link isTicking}. */
  wake(): void {
    this.read()
    this.#arm(0)
    this.isTicking = true
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.isTicking = false
  }

  readonly #tick = (): void => {
    this.read()
    const restMs = this.#onTick()
    this.isTicking = restMs <= 0
    if (restMs < Infinity) this.#arm(restMs)
  }

  #arm(restMs: number): void {
    this.#timer?.cancel()
    const delayMs = Math.max(Math.ceil(restMs), (this.tickMs * (1 + this.#random())) / 2)
    this.#timer = this.#clock.setTimeout(this.#tick, delayMs, { keepsAlive: false })
  }
}
