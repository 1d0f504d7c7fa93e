import { labelled, type AnyFamily } from './metric-family.ts'
import type { RegistryEntry, RegistryMetric, RegistryValue } from './prometheus-registry.ts'

/** One of our metrics as a registry sees it, for those who ask the registry itself for text. */
export class FamilyEntry implements RegistryEntry {
  /** The clients cut a counter's `_total` off here when they write OpenMetrics. */
  name: string
  readonly help: string
  readonly type: string
  readonly aggregator = 'sum'
  readonly family: AnyFamily
  readonly #beforeRead: () => void

  constructor(family: AnyFamily, beforeRead: () => void) {
    this.family = family
    this.name = family.name
    this.help = family.definition.help
    this.type = family.kind
    this.#beforeRead = beforeRead
  }

  get(): RegistryMetric {
    this.#beforeRead()
    const { name, help, type, aggregator } = this
    return { name, help, type, aggregator, values: [...valuesOf(this.family, name)] }
  }

  /** Sets all series to zero, as `resetMetrics()` of a registry asks. */
  reset(): void {
    for (const { series } of this.family.all()) series.reset()
  }
}

function* valuesOf(family: AnyFamily, name: string): Generator<RegistryValue> {
  for (const { labelValues, series } of family.all()) {
    const labels = labelled(family.definition, labelValues)
    if ('sample' in series) {
      const value = series.sample()
      if (value !== undefined) yield { value, labels }
    } else if ('layout' in series) {
      const counts = series.layout.cumulativeCounts(series.cells())
      for (const [i, value] of counts.entries()) {
        const le = series.layout.bounds[i] ?? '+Inf'
        yield { value, labels: { le, ...labels }, metricName: `${name}_bucket` }
      }
      yield { value: series.sum, labels, metricName: `${name}_sum` }
      yield { value: counts.at(-1) as number, labels, metricName: `${name}_count` }
    } else {
      yield { value: series.value, labels }
    }
  }
}
