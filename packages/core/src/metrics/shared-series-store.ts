import { BucketLayout } from './bucket-layout.ts'
import type { CounterSeries } from './counter-series.ts'
import type { GaugeSeries } from './gauge-series.ts'
import type { HistogramSeries } from './histogram-series.ts'
import type { MetricDefinition } from './metric-definition.ts'
import type { SeriesStore } from './series-store.ts'
import { SharedCounterSeries, SharedGaugeSeries, SharedHistogramSeries } from './shared-series.ts'
import type { ThreadMemoryWriter } from './thread-memory.ts'

/** Series whose numbers lie in the memory of a thread. */
export class SharedSeriesStore implements SeriesStore {
  readonly #memory: ThreadMemoryWriter
  readonly #onReadFailed: (name: string) => void
  readonly #gauges: SharedGaugeSeries[] = []

  constructor(memory: ThreadMemoryWriter, onReadFailed: (name: string) => void) {
    this.#memory = memory
    this.#onReadFailed = onReadFailed
  }

  define(definition: MetricDefinition): void {
    this.#memory.define(definition, cellsPerSeries(definition))
  }

  counter(definition: MetricDefinition, values: readonly string[]): CounterSeries | undefined {
    const cells = this.#cells(definition, values)
    return cells && new SharedCounterSeries(cells)
  }

  gauge(definition: MetricDefinition, values: readonly string[]): GaugeSeries | undefined {
    const cells = this.#cells(definition, values)
    if (cells === undefined) return undefined
    const gauge = new SharedGaugeSeries(cells, () => this.#onReadFailed(definition.name))
    this.#gauges.push(gauge)
    return gauge
  }

  histogram(
    definition: MetricDefinition,
    values: readonly string[],
    layout: BucketLayout,
  ): HistogramSeries | undefined {
    const cells = this.#cells(definition, values)
    return cells && new SharedHistogramSeries(layout, cells)
  }

  /** Reads the gauges that have a `read`, for the other thread cannot. */
  publishReads(): void {
    for (const gauge of this.#gauges) gauge.publishReads()
  }

  #cells(definition: MetricDefinition, values: readonly string[]): Float64Array | undefined {
    return this.#memory.series(definition.name, values, cellsPerSeries(definition))
  }
}

/** What the series of {@link SharedSeriesStore} need: see each of their classes. */
function cellsPerSeries({ kind, bounds }: MetricDefinition): number {
  switch (kind) {
    case 'counter':
      return 1
    case 'gauge':
      return 2
    case 'histogram':
      return new BucketLayout(bounds).slots + 1
  }
}
