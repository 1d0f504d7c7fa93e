import type { BucketLayout } from './bucket-layout.ts'
import { LocalCounterSeries, type CounterSeries } from './counter-series.ts'
import { Exemplars } from './exemplars.ts'
import { LocalGaugeSeries, type GaugeSeries } from './gauge-series.ts'
import { LocalHistogramSeries, type HistogramSeries } from './histogram-series.ts'
import type { MetricDefinition } from './metric-definition.ts'

/** Where the numbers of series live: this thread's memory, or memory that another thread reads. */
export interface SeriesStore {
  /** Called once for each metric. @throws RangeError when there is no room for it. */
  define(definition: MetricDefinition): void
  /** A new series, or `undefined` when there is no room for one more. */
  counter(definition: MetricDefinition, values: readonly string[]): CounterSeries | undefined
  gauge(definition: MetricDefinition, values: readonly string[]): GaugeSeries | undefined
  histogram(
    definition: MetricDefinition,
    values: readonly string[],
    layout: BucketLayout,
  ): HistogramSeries | undefined
}

/** Series in this thread's memory. */
export class LocalSeriesStore implements SeriesStore {
  readonly #now: () => number
  readonly #onReadFailed: (name: string) => void

  constructor(now: () => number, onReadFailed: (name: string) => void) {
    this.#now = now
    this.#onReadFailed = onReadFailed
  }

  define(): void {}

  counter({ exemplars }: MetricDefinition): CounterSeries {
    return new LocalCounterSeries(exemplars ? new Exemplars(this.#now) : undefined)
  }

  gauge({ name }: MetricDefinition): GaugeSeries {
    return new LocalGaugeSeries(() => this.#onReadFailed(name))
  }

  histogram(
    { exemplars }: MetricDefinition,
    _values: readonly string[],
    layout: BucketLayout,
  ): HistogramSeries {
    return new LocalHistogramSeries(layout, exemplars ? new Exemplars(this.#now) : undefined)
  }
}
