import type { BoundCounter, BoundGauge, BoundHistogram, Metrics } from './metrics.ts'

const counter: BoundCounter = { inc() {}, value: 0 }
const gauge: BoundGauge = { set() {}, add() {}, value: 0 }
const histogram: BoundHistogram = { observe() {}, count: 0, sum: 0, quantile: () => Number.NaN }
const nothing: Disposable = { [Symbol.dispose]() {} }

/**
 * Metrics that count nothing and check nothing: the default of an optional `metrics`, so that no
 * component needs an `if` around a number.
 */
export const noopMetrics: Metrics = {
  counter: (name, { labels = [] }) => ({ name, labels, bind: () => counter }),
  gauge: (name, { labels = [] }) => ({
    name,
    labels,
    bind: () => gauge,
    readFrom: () => nothing,
  }),
  histogram: (name, { labels = [] }) => ({ name, labels, bounds: [], bind: () => histogram }),
  expose: async () => '',
  read: () => undefined,
  names: () => [],
}
