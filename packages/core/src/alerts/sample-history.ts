import type { MetricReading, Metrics } from '../metrics.ts'
import { SampleRing } from './sample-ring.ts'

/** One series, as far back as the longest window needs it. */
export interface SampledSeries {
  readonly labels: Readonly<Record<string, string>>
  readonly ring: SampleRing
  /** Whether the last scrape had it no more: it has no value then, but its past still counts in rates. */
  isStale: boolean
}

interface SampledMetric {
  bounds: readonly number[]
  readonly series: Map<string, SampledSeries>
}

/** The last samples of the metrics that alerts look at. */
export class SampleHistory {
  readonly #metrics: Pick<Metrics, 'read'>
  readonly #capacity: number
  readonly #keepMs: number
  readonly #sampled = new Map<string, SampledMetric>()

  /**
   * @param capacity samples kept of each series
   * @param keepMs how long a series that is gone is remembered
   */
  constructor(
    metrics: Pick<Metrics, 'read'>,
    names: Iterable<string>,
    capacity: number,
    keepMs: number,
  ) {
    this.#metrics = metrics
    this.#capacity = capacity
    this.#keepMs = keepMs
    for (const name of names) this.#sampled.set(name, { bounds: [], series: new Map() })
  }

  /** Reads every metric once, as a scrape at `nowMs`. */
  sample(nowMs: number): void {
    for (const [name, known] of this.#sampled) {
      const reading = this.#metrics.read(name)
      for (const series of known.series.values()) series.isStale = true
      if (reading !== undefined) this.#take(reading, known, nowMs)
      for (const [key, { isStale, ring }] of known.series) {
        if (isStale && ring.timeMs(ring.size - 1) < nowMs - this.#keepMs) known.series.delete(key)
      }
    }
  }

  seriesOf(name: string): Iterable<SampledSeries> {
    return this.#sampled.get(name)?.series.values() ?? []
  }

  /** Upper bounds of the buckets; none unless the metric is a histogram. */
  boundsOf(name: string): readonly number[] {
    return this.#sampled.get(name)?.bounds ?? []
  }

  #take(reading: MetricReading, known: SampledMetric, nowMs: number): void {
    if (reading.kind === 'histogram') known.bounds = reading.bounds
    for (const one of reading.series) {
      const values = 'value' in one ? [one.value] : one.cumulativeCounts
      const key = JSON.stringify(one.labelValues)
      let series = known.series.get(key)
      if (series === undefined) {
        const labels = Object.fromEntries(
          reading.labels.map((label, index) => [label, one.labelValues[index] as string]),
        )
        const ring = new SampleRing(this.#capacity, values.length)
        series = { labels, ring, isStale: false }
        known.series.set(key, series)
      }
      series.isStale = false
      series.ring.push(nowMs, values)
    }
  }
}
