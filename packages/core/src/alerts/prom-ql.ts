import type { MetricKind } from './check-expression.ts'
import type { AlertDefinition } from './define-alerts.ts'
import type { Expression } from './expression.ts'
import { writeFilter } from './label-filter.ts'

export interface PromQlOptions {
  readonly kinds: ReadonlyMap<string, MetricKind>
  /** Labels of the scrape that are told apart beside those in `by`. */
  readonly keep: readonly string[]
}

/** The condition of an alert in PromQL: its expression and its limit. */
export function writeCondition(
  { when, below, above }: AlertDefinition,
  options: PromQlOptions,
): string {
  const limit = below === undefined ? `> ${above}` : `< ${below}`
  return `${writeExpression(when, options)} ${limit}`
}

function writeExpression(expression: Expression, options: PromQlOptions): string {
  const labels = [...options.keep, ...expression.by]
  switch (expression.type) {
    case 'rate':
    case 'increase': {
      const { of, type, windowMs } = expression
      const name = options.kinds.get(of.name) === 'histogram' ? `${of.name}_count` : of.name
      const window = writeDuration(windowMs)
      return `sum${writeBy(labels)} (${type}(${name}${writeFilter(of.where)}[${window}]))`
    }
    case 'value': {
      const { of, across } = expression
      return `${across}${writeBy(labels)} (${of.name}${writeFilter(of.where)})`
    }
    case 'quantile': {
      const { of, q, windowMs } = expression
      const buckets = `${of.name}_bucket${writeFilter(of.where)}[${writeDuration(windowMs)}]`
      return `histogram_quantile(${q}, sum${writeBy(['le', ...labels])} (rate(${buckets})))`
    }
    case 'ratio': {
      const { dividend, divisor } = expression
      return `${writePart(dividend, options)} / ${writePart(divisor, options)}`
    }
  }
}

function writePart(expression: Expression, options: PromQlOptions): string {
  const text = writeExpression(expression, options)
  return expression.type === 'ratio' ? `(${text})` : text
}

function writeBy(labels: readonly string[]): string {
  return labels.length === 0 ? '' : ` by (${labels.join(', ')})`
}

/** A duration as Prometheus reads it. */
export function writeDuration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}
