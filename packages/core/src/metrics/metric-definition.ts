import type { GaugeOptions, HistogramOptions, MetricOptions } from '../metrics.ts'
import { requireWhole } from '../range.ts'
import { checkBounds, checkLabels, checkName, refuse } from './metric-rules.ts'
import { NAMED_BOUNDS } from './named-bounds.ts'

/** What a metric is, checked. Also what a thread tells about the metrics that it defines. */
export interface MetricDefinition {
  readonly kind: MetricKind
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly maxSeries: number
  readonly exemplars: boolean
  /** Empty unless it is a histogram. */
  readonly bounds: readonly number[]
}

export type MetricKind = 'counter' | 'gauge' | 'histogram'

/** @throws RangeError naming the metric and the rule that it breaks. */
export function defineMetric(
  kind: MetricKind,
  name: string,
  options: MetricOptions & Pick<HistogramOptions, 'bounds'> & Pick<GaugeOptions, 'read'>,
  defaultMaxSeries: number,
): MetricDefinition {
  const { help, labels = [], maxSeries = defaultMaxSeries, exemplars = false, read } = options
  checkName(kind, name)
  if (typeof help !== 'string' || help.trim() === '') refuse(name, 'needs a help text')
  checkLabels(name, labels)
  checkMaxSeries(`metric ${name}: maxSeries`, maxSeries)
  if (exemplars && kind === 'gauge') refuse(name, 'a gauge has no exemplars')
  if (read !== undefined && labels.length > 0) {
    refuse(name, 'a gauge with labels is read by `readFrom`, not by the option `read`')
  }
  const bounds = kind === 'histogram' ? boundsOf(name, options.bounds ?? 'latency') : []
  return { kind, name, help, labels: [...labels], maxSeries, exemplars, bounds }
}

/** @throws RangeError naming the option and its limits. */
export function checkMaxSeries(option: string, maxSeries: number): void {
  requireWhole(option, maxSeries, 1, 10_000)
}

/** Whether two definitions describe series that may be counted together. */
export function hasSameShape(one: MetricDefinition, other: MetricDefinition): boolean {
  return (
    one.kind === other.kind &&
    one.labels.join() === other.labels.join() &&
    one.bounds.join() === other.bounds.join()
  )
}

function boundsOf(
  name: string,
  bounds: NonNullable<HistogramOptions['bounds']>,
): readonly number[] {
  if (typeof bounds !== 'string') {
    checkBounds(name, bounds)
    return [...bounds]
  }
  const named = NAMED_BOUNDS[bounds]
  if (named === undefined) refuse(name, `has no bounds named '${bounds}'`)
  if (!name.endsWith(`_${named.unit}`)) {
    refuse(name, `with bounds '${bounds}' must end in _${named.unit}`)
  }
  return named.bounds
}
