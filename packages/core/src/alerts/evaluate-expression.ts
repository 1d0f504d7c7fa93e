import { bucketQuantile } from './bucket-quantile.ts'
import type { Expression, SeriesAggregate } from './expression.ts'
import { extrapolatedIncrease, type PrometheusVersion } from './extrapolated-increase.ts'
import { selects } from './label-filter.ts'
import type { SampledSeries, SampleHistory } from './sample-history.ts'

/** One number of a result, with the labels by which it was told apart. */
export interface LabelledValue {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A moment in the history, and whose arithmetic counts. */
export interface Evaluation {
  readonly history: SampleHistory
  readonly nowMs: number
  readonly version: PrometheusVersion
}

/** The values of an expression by the text of their labels. Sets without enough samples are missing. */
export function evaluateExpression(
  expression: Expression,
  at: Evaluation,
): Map<string, LabelledValue> {
  switch (expression.type) {
    case 'rate':
    case 'increase':
      return aggregate(expression, at, 'sum', (series) => {
        const lastColumn = at.history.boundsOf(expression.of.name).length
        return growth(series, lastColumn, expression, at)
      })
    case 'value':
      return aggregate(expression, at, expression.across, (series) => instant(series, at))
    case 'quantile':
      return evaluateQuantile(expression, at)
    case 'ratio': {
      const divisors = evaluateExpression(expression.divisor, at)
      const values = evaluateExpression(expression.dividend, at)
      for (const [key, { labels, value }] of values) {
        const divisor = divisors.get(key)
        if (divisor === undefined) values.delete(key)
        else values.set(key, { labels, value: value / divisor.value })
      }
      return values
    }
  }
}

type Leaf = Exclude<Expression, { type: 'ratio' }>

function aggregate(
  { of, by }: Leaf,
  { history }: Evaluation,
  across: SeriesAggregate,
  read: (series: SampledSeries) => number | undefined,
): Map<string, LabelledValue> {
  const results = new Map<string, LabelledValue>()
  for (const series of history.seriesOf(of.name)) {
    if (!selects(of.where, series.labels)) continue
    const value = read(series)
    if (value === undefined) continue
    const { key, labels } = groupOf(series, by)
    const before = results.get(key)
    results.set(key, {
      labels,
      value: before === undefined ? value : COMBINE[across](before.value, value),
    })
  }
  return results
}

/** Each bucket grows by itself; what all series of a set have in a bucket is added up. */
function evaluateQuantile(
  expression: Extract<Expression, { type: 'quantile' }>,
  at: Evaluation,
): Map<string, LabelledValue> {
  const { of, by, q } = expression
  const bounds = at.history.boundsOf(of.name)
  const columns = Array.from({ length: bounds.length + 1 }, (_, column) =>
    aggregate({ ...expression, by }, at, 'sum', (series) =>
      growth(series, column, { type: 'rate', windowMs: expression.windowMs }, at),
    ),
  )
  const results = new Map<string, LabelledValue>()
  for (const [key, { labels }] of columns[0] ?? []) {
    const counts = columns.map((column) => column.get(key)?.value ?? Number.NaN)
    results.set(key, { labels, value: bucketQuantile(q, bounds, counts) })
  }
  return results
}

function growth(
  { ring }: SampledSeries,
  column: number,
  { type, windowMs }: { readonly type: 'rate' | 'increase'; readonly windowMs: number },
  { nowMs, version }: Evaluation,
): number | undefined {
  const window = { endMs: nowMs, windowMs }
  return extrapolatedIncrease(ring, column, window, { perSecond: type === 'rate', version })
}

function instant({ ring, isStale }: SampledSeries, { nowMs }: Evaluation): number | undefined {
  const last = ring.size - 1
  if (isStale || last < 0 || ring.timeMs(last) < nowMs - LOOKBACK_MS) return undefined
  return ring.value(last, 0)
}

function groupOf(
  { labels }: SampledSeries,
  by: readonly string[],
): { readonly key: string; readonly labels: Readonly<Record<string, string>> } {
  const entries = by.toSorted().map((label) => [label, labels[label] ?? ''] as const)
  return { key: JSON.stringify(entries), labels: Object.fromEntries(entries) }
}

/** How old a sample may be to count as the value now: Prometheus' `--query.lookback-delta`. */
export const LOOKBACK_MS = 300_000

/** `NaN` gives way to a number in max and min, as in Prometheus, and wins in a sum. */
const COMBINE: Readonly<Record<SeriesAggregate, (one: number, other: number) => number>> = {
  sum: (one, other) => one + other,
  max: (one, other) => (one < other || Number.isNaN(one) ? other : one),
  min: (one, other) => (one > other || Number.isNaN(one) ? other : one),
}
