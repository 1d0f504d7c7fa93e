import type { Gauge } from '../metrics.ts'
import { BucketLayout } from './bucket-layout.ts'
import type { CounterSeries } from './counter-series.ts'
import type { GaugeSeries } from './gauge-series.ts'
import type { HistogramSeries } from './histogram-series.ts'
import { labelText } from './label-text.ts'
import type { MetricDefinition } from './metric-definition.ts'
import { refuse } from './metric-rules.ts'
import type { SeriesStore } from './series-store.ts'

/** A series with the labels that tell it from others, also as text. */
export interface LabelledSeries<Series> {
  readonly labelValues: readonly string[]
  /** `a="1",b="2"`. */
  readonly labelText: string
  readonly series: Series
}

/** A metric: its definition, and its series by label values, of which there is a largest number. */
abstract class MetricFamily<Series extends object> {
  readonly definition: MetricDefinition
  protected readonly store: SeriesStore
  readonly #series = new Map<string, Series>()
  readonly #all: LabelledSeries<Series>[] = []
  /** The one that counts what has no series of its own; of a metric without labels, the only one. */
  #rest: Series | undefined

  constructor(definition: MetricDefinition, store: SeriesStore) {
    this.definition = definition
    this.store = store
    store.define(definition)
  }

  get name(): string {
    return this.definition.name
  }

  get labels(): readonly string[] {
    return this.definition.labels
  }

  bind(...labelValues: string[]): Series {
    const count = this.definition.labels.length
    if (labelValues.length !== count) {
      refuse(this.name, `has ${count} labels, got ${labelValues.length} values`)
    }
    if (count === 0) return this.#boundRest([])
    return this.#series.get(labelValues.join(SEPARATOR)) ?? this.#bindNew(labelValues)
  }

  /** All series that were bound, in order. */
  all(): readonly LabelledSeries<Series>[] {
    return this.#all
  }

  protected abstract make(labelValues: readonly string[]): Series | undefined

  #bindNew(labelValues: readonly string[]): Series {
    if (labelValues.every((value) => value === OTHER)) return this.#boundRest(labelValues)
    // A value with the separator in it would be taken for two: it gets no series of its own.
    const isSeparable = labelValues.every((value) => !value.includes(SEPARATOR))
    const mayAdd = isSeparable && this.#series.size < this.definition.maxSeries
    const series = mayAdd ? this.make(labelValues) : undefined
    if (series === undefined) return this.#boundRest(labelValues.map(() => OTHER))
    this.#series.set(labelValues.join(SEPARATOR), series)
    return this.#add(labelValues, series)
  }

  #boundRest(labelValues: readonly string[]): Series {
    if (this.#rest !== undefined) return this.#rest
    this.#rest = this.make(labelValues)
    if (this.#rest === undefined) refuse(this.name, 'has no room for a series that was kept')
    return this.#add(labelValues, this.#rest)
  }

  #add(labelValues: readonly string[], series: Series): Series {
    const text = labelText(Object.entries(labelled(this.definition, labelValues)))
    this.#all.push({ labelValues: [...labelValues], labelText: text, series })
    return series
  }
}

/** A counter with its series. */
export class CounterFamily extends MetricFamily<CounterSeries> {
  readonly kind = 'counter'

  protected make(labelValues: readonly string[]): CounterSeries | undefined {
    return this.store.counter(this.definition, labelValues)
  }
}

/** A gauge with its series. */
export class GaugeFamily extends MetricFamily<GaugeSeries> implements Gauge {
  readonly kind = 'gauge'

  readFrom(read: () => number, ...labelValues: string[]): Disposable {
    const { reads } = this.bind(...labelValues)
    // Wrapped, so that the same function given twice is read twice.
    const one = (): number => read()
    reads.add(one)
    return { [Symbol.dispose]: () => void reads.delete(one) }
  }

  protected make(labelValues: readonly string[]): GaugeSeries | undefined {
    return this.store.gauge(this.definition, labelValues)
  }
}

/** A histogram with its series, which share one layout. */
export class HistogramFamily extends MetricFamily<HistogramSeries> {
  readonly kind = 'histogram'
  readonly layout: BucketLayout
  /** The label `le` of each bucket as text, and what follows it up to the count. */
  readonly boundTexts: readonly string[]

  constructor(definition: MetricDefinition, store: SeriesStore) {
    const layout = layoutOf(definition)
    super(definition, store)
    this.layout = layout
    this.boundTexts = [...definition.bounds, '+Inf'].map((bound) => `le="${bound}"} `)
  }

  get bounds(): readonly number[] {
    return this.definition.bounds
  }

  protected make(labelValues: readonly string[]): HistogramSeries | undefined {
    return this.store.histogram(this.definition, labelValues, this.layout)
  }
}

export type AnyFamily = CounterFamily | GaugeFamily | HistogramFamily

/** A family of the kind that its definition says. */
export function createFamily(definition: MetricDefinition, store: SeriesStore): AnyFamily {
  switch (definition.kind) {
    case 'counter':
      return new CounterFamily(definition, store)
    case 'gauge':
      return new GaugeFamily(definition, store)
    case 'histogram':
      return new HistogramFamily(definition, store)
  }
}

/** Label values by the names of their labels. */
export function labelled(
  { labels }: MetricDefinition,
  labelValues: readonly string[],
): Record<string, string> {
  return Object.fromEntries(labels.map((label, i) => [label, labelValues[i] as string]))
}

function layoutOf({ name, bounds }: MetricDefinition): BucketLayout {
  try {
    return new BucketLayout(bounds)
  } catch (error) {
    throw new RangeError(`metric ${name}: ${(error as Error).message}`, { cause: error })
  }
}

/** NUL, which no sensible label value has. */
const SEPARATOR = '\0'
const OTHER = 'other'
