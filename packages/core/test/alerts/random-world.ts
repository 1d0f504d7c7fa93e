import type { HistogramReading, MetricReading, ScalarReading } from '@dharma/core'

/** Uniform in [0, 1), the same for the same seed. Source: Tommy Ettinger, mulberry32, 2017. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One series: a sample a tick, each with a number for each column, or none where it is missing. */
interface RandomSeries {
  readonly labelValues: readonly string[]
  readonly samples: readonly (readonly number[] | undefined)[]
}

export const CACHES: readonly string[] = ['users', String.raw`a "quoted\ name`]
const TIERS: readonly string[] = ['l1', 'l2.x']
export const QUEUES: readonly string[] = ['mail', 'import']
const BOUNDS: readonly number[] = [0.01, 0.05, 0.25, 1, 5]

/**
 * The metrics of a process that does a bit of everything: busy and idle times, restarts, series that
 * begin late, end and come back.
 */
export class RandomWorld {
  readonly #ticks: number
  readonly #random: () => number
  readonly #hits: readonly RandomSeries[]
  readonly #lookups: readonly RandomSeries[]
  readonly #waiting: readonly RandomSeries[]
  readonly #loads: readonly RandomSeries[]
  tick = 0

  constructor(seed: number, ticks: number) {
    this.#ticks = ticks
    this.#random = seededRandom(seed)
    const pairs = CACHES.flatMap((cache) => TIERS.map((tier) => [cache, tier]))
    this.#hits = pairs.map((labelValues) => this.#counter(labelValues))
    this.#lookups = CACHES.map((cache) => this.#counter([cache]))
    this.#waiting = QUEUES.map((queue) => this.#gauge([queue]))
    this.#loads = CACHES.map((cache) => this.#histogram([cache]))
  }

  /** The metrics at the tick. */
  read(name: string): MetricReading | undefined {
    switch (name) {
      case 'hits_total':
        return this.#scalar('counter', name, ['cache', 'tier'], this.#hits)
      case 'lookups_total':
        return this.#scalar('counter', name, ['cache'], this.#lookups)
      case 'waiting_jobs':
        return this.#scalar('gauge', name, ['queue'], this.#waiting)
      case 'load_seconds':
        return this.#histogramReading(name)
      default:
        return undefined
    }
  }

  /** The same as input series of `promtool test rules`. */
  inputSeries(instance: string): { series: string; values: string }[] {
    const text = (name: string, labels: Record<string, string>): string =>
      `${name}{${Object.entries({ instance, ...labels })
        .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
        .join(',')}}`
    const scalar = (name: string, labels: string[], all: readonly RandomSeries[]) =>
      all.map(({ labelValues, samples }) => ({
        series: text(name, Object.fromEntries(labels.map((l, i) => [l, labelValues[i] ?? '']))),
        values: this.#valuesText(samples, 0),
      }))
    return [
      ...scalar('hits_total', ['cache', 'tier'], this.#hits),
      ...scalar('lookups_total', ['cache'], this.#lookups),
      ...scalar('waiting_jobs', ['queue'], this.#waiting),
      ...this.#loads.flatMap(({ labelValues: [cache = ''], samples }) => [
        ...[...BOUNDS.map(String), '+Inf'].map((le, column) => ({
          series: text('load_seconds_bucket', { cache, le }),
          values: this.#valuesText(samples, column),
        })),
        {
          series: text('load_seconds_count', { cache }),
          values: this.#valuesText(samples, BOUNDS.length),
        },
      ]),
    ]
  }

  /** A scrape that misses a series it had marks it as stale, and then has nothing. */
  #valuesText(samples: RandomSeries['samples'], column: number): string {
    return samples
      .map((sample, tick) => {
        if (sample !== undefined) return String(sample[column])
        return tick > 0 && samples[tick - 1] !== undefined ? 'stale' : '_'
      })
      .join(' ')
  }

  #scalar(
    kind: 'counter' | 'gauge',
    name: string,
    labels: readonly string[],
    all: readonly RandomSeries[],
  ): ScalarReading {
    const series = all.flatMap(({ labelValues, samples }) => {
      const value = samples[this.tick]?.[0]
      return value === undefined ? [] : [{ labelValues, value }]
    })
    return { kind, name, help: name, labels, series }
  }

  #histogramReading(name: string): HistogramReading {
    const series = this.#loads.flatMap(({ labelValues, samples }) => {
      const cumulativeCounts = samples[this.tick]
      if (cumulativeCounts === undefined) return []
      return [{ labelValues, cumulativeCounts, count: cumulativeCounts.at(-1) ?? 0, sum: 0 }]
    })
    return { kind: 'histogram', name, help: name, labels: ['cache'], bounds: BOUNDS, series }
  }

  #counter(labelValues: readonly string[]): RandomSeries {
    const isWhole = this.#chance(0.7)
    let value = this.#chance(0.5) ? 0 : Math.floor(this.#random() * 200)
    let speed = this.#random() * 60
    return this.#series(labelValues, () => {
      if (this.#chance(0.1)) speed = this.#chance(0.25) ? 0 : this.#random() ** 2 * 150
      if (this.#chance(0.03)) value = this.#chance(0.5) ? 0 : this.#random() * 5
      value += isWhole ? Math.floor(this.#random() * speed) : this.#random() * speed
      return [value]
    })
  }

  #gauge(labelValues: readonly string[]): RandomSeries {
    let value = 30
    return this.#series(labelValues, () => {
      value += Math.floor((this.#random() - 0.5) * 20)
      if (this.#chance(0.05)) value = Math.floor(this.#random() * 80)
      return [this.#chance(0.01) ? Number.NaN : value]
    })
  }

  #histogram(labelValues: readonly string[]): RandomSeries {
    const counts = [...BOUNDS, Infinity].map(() => 0)
    let centre = 1
    let load = 20
    return this.#series(labelValues, () => {
      if (this.#chance(0.1)) centre = this.#random() * (BOUNDS.length + 1)
      if (this.#chance(0.1)) load = this.#chance(0.2) ? 0 : this.#random() * 60
      if (this.#chance(0.03)) counts.fill(0)
      const observations = Math.floor(load * this.#random())
      for (let i = 0; i < observations; i++) {
        const bucket = Math.floor(centre + (this.#random() - 0.5) * 4)
        const at = Math.min(Math.max(bucket, 0), BOUNDS.length)
        for (let column = at; column < counts.length; column++) (counts[column] as number)++
      }
      return [...counts]
    })
  }

  #series(labelValues: readonly string[], next: () => readonly number[]): RandomSeries {
    let missing = this.#chance(0.4) ? Math.floor(this.#random() * 30) : 0
    const samples = Array.from({ length: this.#ticks }, () => {
      const sample = next()
      if (missing === 0 && this.#chance(0.02)) missing = Math.ceil(this.#random() ** 3 * 30)
      if (missing === 0) return sample
      missing--
      return undefined
    })
    return { labelValues, samples }
  }

  #chance(probability: number): boolean {
    return this.#random() < probability
  }
}
