import { Registry } from 'prom-client'
import { systemClock, type Clock } from '../clock.ts'
import { checkMaxSeries } from './metric-definition.ts'
import { MetricsHome } from './metrics-home.ts'
import type { PrometheusRegistry } from './prometheus-registry.ts'
import { LocalSeriesStore } from './series-store.ts'

export interface CreateMetricsOptions {
  /**
   * The home of the metrics: a `Registry` of `prom-client` or of `@prometheus-io/client`. Give the
   * service's own to keep one `/metrics`. @default a new registry of prom-client
   */
  readonly registry?: PrometheusRegistry
  /** Put before every name: snake case that ends in an underscore. @default none */
  readonly prefix?: string
  /** `maxSeries` of metrics that give none, 1–10,000. @default 200 */
  readonly maxSeries?: number
  /** Gives exemplars their time. @default systemClock */
  readonly clock?: Pick<Clock, 'now'>
}

/**
 * Metrics whose numbers live beside the code that counts. Process metrics (CPU, memory, event loop)
 * are not among them: `collectDefaultMetrics({ register })` of the registry's client adds those.
 *
 * @throws RangeError when an option is out of its range.
 */
export function createMetrics(options: CreateMetricsOptions = {}): MetricsHome {
  const { registry = new Registry(), prefix = '', maxSeries = 200, clock = systemClock } = options
  if (prefix !== '' && !/^(?:[a-z][a-z0-9]*_)+$/.test(prefix)) {
    throw new RangeError(`prefix must be snake case that ends in an underscore, got '${prefix}'`)
  }
  checkMaxSeries('maxSeries', maxSeries)
  return new MetricsHome({
    registry,
    prefix,
    maxSeries,
    createStore: (onReadFailed) => new LocalSeriesStore(() => clock.now(), onReadFailed),
  })
}
