import type {
  Counter,
  ExpositionFormat,
  Gauge,
  GaugeOptions,
  Histogram,
  HistogramOptions,
  MetricOptions,
  MetricReading,
  Metrics,
} from '../metrics.ts'
import { writeFamily, writeForeign, type ExpositionStyle } from './exposition.ts'
import { FamilyEntry } from './family-entry.ts'
import { defineMetric, hasSameShape, type MetricDefinition } from './metric-definition.ts'
import { createFamily, type AnyFamily } from './metric-family.ts'
import { refuse } from './metric-rules.ts'
import {
  defaultLabelsOf,
  type PrometheusRegistry,
  type RegistryEntry,
} from './prometheus-registry.ts'
import { readFamily } from './reading.ts'
import type { SeriesStore } from './series-store.ts'

export interface MetricsHomeOptions {
  readonly registry: PrometheusRegistry
  readonly prefix: string
  readonly maxSeries: number
  /** Makes the store; it reports reads that failed by the name of their gauge. */
  readonly createStore: (onReadFailed: (name: string) => void) => SeriesStore
}

/** Metrics in a registry: defines, reads and writes them. */
export class MetricsHome implements Metrics {
  /** Where the metrics are registered, with those of its owner. */
  readonly registry: PrometheusRegistry
  readonly #prefix: string
  readonly #maxSeries: number
  readonly #store: SeriesStore
  readonly #beforeRead = new Set<() => void>()
  readonly #onDefined = new Set<(family: AnyFamily) => void>()

  constructor({ registry, prefix, maxSeries, createStore }: MetricsHomeOptions) {
    this.registry = registry
    this.#prefix = prefix
    this.#maxSeries = maxSeries
    this.#store = createStore((name) => this.#countReadFailure(name))
  }

  counter(name: string, options: MetricOptions): Counter {
    const definition = defineMetric('counter', this.#prefix + name, options, this.#maxSeries)
    return this.#define(definition) as Counter
  }

  gauge(name: string, options: GaugeOptions): Gauge {
    const definition = defineMetric('gauge', this.#prefix + name, options, this.#maxSeries)
    const gauge = this.#define(definition) as Gauge
    if (options.read !== undefined) gauge.readFrom(options.read)
    return gauge
  }

  histogram(name: string, options: HistogramOptions): Histogram {
    const definition = defineMetric('histogram', this.#prefix + name, options, this.#maxSeries)
    return this.#define(definition) as Histogram
  }

  async expose(format: ExpositionFormat = 'prometheus'): Promise<string> {
    this.refresh()
    const style: ExpositionStyle = { format, defaultLabels: defaultLabelsOf(this.registry) }
    let text = ''
    for (const entry of this.registry.getMetricsAsArray()) {
      text +=
        entry instanceof FamilyEntry
          ? writeFamily(entry.family, style)
          : await this.#writeForeign(entry as RegistryEntry, style)
    }
    return format === 'openmetrics' ? `${text}# EOF\n` : text
  }

  read(name: string): MetricReading | undefined {
    this.refresh()
    const entry = this.registry.getSingleMetric(name)
    return entry instanceof FamilyEntry ? readFamily(entry.family) : undefined
  }

  names(): string[] {
    this.refresh()
    return Array.from(this.families(), ({ name }) => name)
  }

  /** Every metric of ours in the registry. */
  *families(): Generator<AnyFamily> {
    for (const entry of this.registry.getMetricsAsArray()) {
      if (entry instanceof FamilyEntry) yield entry.family
    }
  }

  /**
   * Adds a metric that a thread tells of, checked there and named without the prefix. One that is
   * defined otherwise here counts as a read that failed, and is `undefined`.
   */
  adopt(told: MetricDefinition): AnyFamily | undefined {
    const definition = { ...told, name: this.#prefix + told.name }
    const existing = this.registry.getSingleMetric(definition.name)
    if (existing === undefined) return this.#define(definition)
    if (existing instanceof FamilyEntry) {
      if (hasSameShape(existing.family.definition, definition)) return existing.family
    }
    this.#countReadFailure(definition.name)
    return undefined
  }

  /** Defines the counter of failed reads now, for a store that may be full when it is needed. */
  keepRoomForReadFailures(): void {
    this.#readFailures()
  }

  /** Brings in what threads defined since the last read. */
  refresh(): void {
    for (const callback of this.#beforeRead) callback()
  }

  /** Calls back before numbers are read, until disposed. */
  onBeforeRead(callback: () => void): Disposable {
    this.#beforeRead.add(callback)
    return { [Symbol.dispose]: () => void this.#beforeRead.delete(callback) }
  }

  /** Calls back for each metric that is there, and each defined later, until disposed. */
  onDefined(callback: (family: AnyFamily) => void): Disposable {
    for (const family of this.families()) callback(family)
    this.#onDefined.add(callback)
    return { [Symbol.dispose]: () => void this.#onDefined.delete(callback) }
  }

  #define(definition: MetricDefinition): AnyFamily {
    const existing = this.registry.getSingleMetric(definition.name)
    if (existing instanceof FamilyEntry) {
      if (hasSameShape(existing.family.definition, definition)) return existing.family
      refuse(definition.name, `is already defined as ${shapeText(existing.family.definition)}`)
    }
    if (existing !== undefined) refuse(definition.name, 'is already registered by someone else')
    const family = createFamily(definition, this.#store)
    const entry = new FamilyEntry(family, () => this.refresh())
    this.registry.registerMetric(entry as never)
    for (const callback of this.#onDefined) callback(family)
    return family
  }

  async #writeForeign(entry: RegistryEntry, style: ExpositionStyle): Promise<string> {
    try {
      return writeForeign(await entry.get(), style)
    } catch {
      this.#countReadFailure(entry.name)
      return ''
    }
  }

  #countReadFailure(name: string): void {
    this.#readFailures().bind(name).inc()
  }

  #readFailures(): Counter {
    return this.counter('dharma_metrics_read_failures_total', {
      help: 'Values that could not be read at scrape, by metric.',
      labels: ['metric'],
    })
  }
}

function shapeText({ kind, labels, bounds }: MetricDefinition): string {
  const labelled = labels.length === 0 ? 'without labels' : `with labels ${labels.join(', ')}`
  return `a ${kind} ${labelled}${kind === 'histogram' ? ` and ${bounds.length} bounds` : ''}`
}
