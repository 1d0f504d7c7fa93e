import type { MetricReading } from '../metrics.ts'
import type { AnyFamily } from './metric-family.ts'

/** The numbers of a metric now. Gauges that cannot be read are left out. */
export function readFamily(family: AnyFamily): MetricReading {
  const { name, help, labels } = family.definition
  switch (family.kind) {
    case 'counter':
      return {
        kind: 'counter',
        name,
        help,
        labels,
        series: Array.from(family.all(), ({ labelValues, series }) => {
          return { labelValues, value: series.value }
        }),
      }
    case 'gauge':
      return {
        kind: 'gauge',
        name,
        help,
        labels,
        series: Array.from(family.all()).flatMap(({ labelValues, series }) => {
          const value = series.sample()
          return value === undefined ? [] : [{ labelValues, value }]
        }),
      }
    case 'histogram':
      return {
        kind: 'histogram',
        name,
        help,
        labels,
        bounds: family.bounds,
        series: Array.from(family.all(), ({ labelValues, series }) => {
          const cumulativeCounts = family.layout.cumulativeCounts(series.cells())
          const count = cumulativeCounts.at(-1) as number
          return { labelValues, cumulativeCounts, count, sum: series.sum }
        }),
      }
  }
}
