import type { Attributes, Meter, ObservableResult } from '@opentelemetry/api'
import { labelled, type AnyFamily } from './metric-family.ts'
import type { MetricsHome } from './metrics-home.ts'

/**
 * Gives all metrics, those defined later too, to OpenTelemetry as observable instruments, which its
 * reader reads at its own pace. A histogram becomes three counters, `_bucket` (with `le`), `_count`
 * and `_sum`, for the API has no observable histogram; names stay those of Prometheus.
 *
 * @returns a handle that stops it.
 */
export function bridgeToOpenTelemetry(metrics: MetricsHome, meter: Meter): Disposable {
  const stops = new DisposableStack()
  stops.use(metrics.onDefined((family) => observe(metrics, meter, family, stops)))
  return stops
}

function observe(
  metrics: MetricsHome,
  meter: Meter,
  family: AnyFamily,
  stops: DisposableStack,
): void {
  const { name, help } = family.definition
  const observeAs = (
    kind: 'Counter' | 'Gauge',
    suffix: string,
    unit: string,
    read: (result: ObservableResult) => void,
  ): void => {
    const instrument = meter[`createObservable${kind}`](name + suffix, { description: help, unit })
    const callback = (result: ObservableResult): void => {
      metrics.refresh()
      read(result)
    }
    instrument.addCallback(callback)
    stops.defer(() => instrument.removeCallback(callback))
  }
  const unit = unitOf(name)
  switch (family.kind) {
    case 'counter':
      observeAs('Counter', '', unit, (result) => {
        for (const one of family.all()) result.observe(one.series.value, attributes(family, one))
      })
      return
    case 'gauge':
      observeAs('Gauge', '', unit, (result) => {
        for (const one of family.all()) {
          const value = one.series.sample()
          if (value !== undefined) result.observe(value, attributes(family, one))
        }
      })
      return
    case 'histogram':
      observeAs('Counter', '_bucket', '1', (result) => {
        for (const one of family.all()) {
          const counts = family.layout.cumulativeCounts(one.series.cells())
          const own = attributes(family, one)
          for (const [i, count] of counts.entries()) {
            result.observe(count, { ...own, le: String(family.bounds[i] ?? '+Inf') })
          }
        }
      })
      observeAs('Counter', '_count', '1', (result) => {
        for (const one of family.all()) result.observe(one.series.count, attributes(family, one))
      })
      observeAs('Counter', '_sum', unit, (result) => {
        for (const one of family.all()) result.observe(one.series.sum, attributes(family, one))
      })
  }
}

function attributes(
  family: AnyFamily,
  one: { readonly labelValues: readonly string[] },
): Attributes {
  return labelled(family.definition, one.labelValues)
}

/** The unit as UCUM writes it, from the name. */
function unitOf(name: string): string {
  const word =
    name
      .replace(/_total$/, '')
      .split('_')
      .at(-1) ?? ''
  return UNITS.get(word) ?? '1'
}

const UNITS: ReadonlyMap<string, string> = new Map([
  ['seconds', 's'],
  ['bytes', 'By'],
])
