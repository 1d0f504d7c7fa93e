import type { CoarseClock } from './coarse-clock.ts'
import type { PoolSettings } from './connection-pool-options.ts'
import { LoadMeter } from './load-meter.ts'
import { PoolMetrics } from './pool-metrics.ts'
import {
  zeroTotals,
  type PoolCounts,
  type PoolLoad,
  type PoolStats,
  type PoolTotals,
} from './pool-stats.ts'
import { WaitHistogram } from './wait-histogram.ts'

/** What a supply shows of itself. */
export interface SupplyCounts {
  readonly entries: { readonly size: number }
  readonly idle: { readonly length: number }
  readonly leased: number
  readonly checking: number
  readonly creating: number
  readonly closing: number
  readonly min: number
  readonly max: number
}

/** Counts what a pool does and reports it; counting costs the pool's fast path two additions. */
export class PoolGauge {
  readonly totals: PoolTotals = zeroTotals()
  /** Calls of `acquire`. */
  arrivals = 0
  #arrivalsAtTick = 0
  readonly #time: CoarseClock
  readonly #waits: WaitHistogram
  readonly #load: LoadMeter
  readonly #metrics: PoolMetrics | undefined

  constructor({ metrics, name }: PoolSettings, time: CoarseClock) {
    this.#time = time
    this.#waits = new WaitHistogram(time.nowMs)
    this.#load = new LoadMeter(time.nowMs)
    this.#metrics = metrics === undefined ? undefined : new PoolMetrics(metrics, name)
  }

  /** Notes a wait that stands for `weight` ones. */
  measured(waitedMs: number, weight: number): void {
    this.#waits.record(waitedMs, weight)
    this.#metrics?.waitSeconds.observe(waitedMs / 1000)
  }

  /** Folds the time since the last sample into the averages, as if `leased` had been so all along. */
  sample(leased: number): void {
    this.#load.sample(this.#time.nowMs, this.arrivals, leased)
  }

  /** Samples and publishes; false if nothing has arrived since the last tick. */
  tick(supply: SupplyCounts, waiting: number): boolean {
    this.sample(supply.leased)
    this.#waits.rotate(this.#time.nowMs, this.#atOnce)
    this.publish(supply, waiting)
    const hasArrivals = this.arrivals !== this.#arrivalsAtTick
    this.#arrivalsAtTick = this.arrivals
    return hasArrivals
  }

  publish(supply: SupplyCounts, waiting: number): void {
    this.#metrics?.publish(this.#counts(supply, waiting), this.totals)
  }

  stats(supply: SupplyCounts, waiting: number): PoolStats {
    this.#waits.rotate(this.#time.read(), this.#atOnce)
    return {
      ...this.#counts(supply, waiting),
      waitMs: { p50: this.#waitMs(0.5), p95: this.#waitMs(0.95), p99: this.#waitMs(0.99) },
      totals: { ...this.totals },
    }
  }

  load({ leased, max }: SupplyCounts, waiting: number): PoolLoad {
    this.#waits.rotate(this.#time.read(), this.#atOnce)
    this.sample(leased)
    return {
      arrivalsPerSecond: this.#load.arrivalsPerSecond,
      meanLeased: this.#load.meanLeased,
      serviceTimeMs: this.#load.leaseMs,
      utilization: this.#load.meanLeased / max,
      waiting,
      waitP95Ms: this.#waitMs(0.95),
    }
  }

  get #atOnce(): number {
    return this.totals.acquired - this.totals.waited
  }

  #waitMs(q: number): number {
    return this.#waits.quantile(q, this.#atOnce)
  }

  #counts(supply: SupplyCounts, waiting: number): PoolCounts {
    const { entries, idle, leased, checking, creating, closing, min, max } = supply
    const size = entries.size
    return { size, idle: idle.length, leased, checking, creating, closing, waiting, min, max }
  }
}
