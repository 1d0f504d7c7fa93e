import type { Counter, Gauge, Histogram } from '../metrics.ts'

/** A metric by its handle, or by its full name where only the name is known. */
export type MetricReference<Handle> = Handle | string

/** Which series count: label values that must be met, one of several if it is a list. */
export type LabelFilter = Readonly<Record<string, string | readonly string[]>>

/** A metric of which only some series count; made by {@link only}. */
export interface Selection<Handle> {
  readonly metric: MetricReference<Handle>
  readonly where: LabelFilter
}

/** What an alert may look at: a metric, its name, or a selection of its series. */
export type Operand<Handle> = MetricReference<Handle> | Selection<Handle>

/** The series of a metric that an expression reads; the metric is known by its full name. */
export interface Selector {
  readonly name: string
  readonly where: LabelFilter
  /** The handle, if it was given one: it tells the kind and the labels. */
  readonly handle?: Counter | Gauge | Histogram
}

/** A number for each set of values of the labels `by`, at any moment. */
export type Expression =
  | {
      readonly type: 'rate' | 'increase'
      readonly of: Selector
      readonly by: readonly string[]
      readonly windowMs: number
    }
  | {
      readonly type: 'value'
      readonly of: Selector
      readonly by: readonly string[]
      readonly across: SeriesAggregate
    }
  | {
      readonly type: 'quantile'
      readonly of: Selector
      readonly by: readonly string[]
      readonly windowMs: number
      readonly q: number
    }
  | {
      readonly type: 'ratio'
      readonly by: readonly string[]
      readonly dividend: Expression
      readonly divisor: Expression
    }

/** How the values of several series become one. */
export type SeriesAggregate = 'sum' | 'max' | 'min'

export interface GroupOptions {
  /** Labels to be told apart, each set of their values an alert of its own. @default none: all series together */
  readonly by?: readonly string[]
}

export interface WindowOptions extends GroupOptions {
  /**
   * How far back to look, a whole number of milliseconds: from 2 to 2,000 scrape intervals, and not
   * a multiple of one, for then whether the oldest sample counts depends on Prometheus' version. A
   * second more, such as 61,000, will do.
   */
  readonly windowMs: number
}

export interface ValueOptions extends GroupOptions {
  /** How the series of a set are put together. @default 'sum' */
  readonly across?: SeriesAggregate
}

/** Only those series of a metric whose labels have these values. */
export function only(metric: string, where: LabelFilter): Selection<never>
export function only<Handle extends Counter | Gauge | Histogram>(
  metric: Handle,
  where: LabelFilter,
): Selection<Handle>
export function only<Handle extends Counter | Gauge | Histogram>(
  metric: MetricReference<Handle>,
  where: LabelFilter,
): Selection<Handle> {
  return { metric, where }
}

/** How fast a counter, or the number of observations of a histogram, grows, a second. */
export function rate(of: Operand<Counter | Histogram>, options: WindowOptions): Expression {
  return { type: 'rate', of: selectorOf(of), by: options.by ?? [], windowMs: options.windowMs }
}

/** By how much a counter, or the number of observations of a histogram, grew in the window. */
export function increase(of: Operand<Counter | Histogram>, options: WindowOptions): Expression {
  return { type: 'increase', of: selectorOf(of), by: options.by ?? [], windowMs: options.windowMs }
}

/** What a gauge shows now. */
export function value(of: Operand<Gauge>, options: ValueOptions = {}): Expression {
  const { by = [], across = 'sum' } = options
  return { type: 'value', of: selectorOf(of), by, across }
}

/**
 * The value below which the fraction `q` of what a histogram observed in the window lies, from its
 * classic buckets: straight lines between bounds, and the highest bound for all above it.
 */
export function quantile(q: number, of: Operand<Histogram>, options: WindowOptions): Expression {
  const { by = [], windowMs } = options
  return { type: 'quantile', of: selectorOf(of), by, windowMs, q }
}

/**
 * One rate divided by another, or any expression by one with the same `by`. Nothing, and so no
 * alert, comes of zero by zero.
 */
export function ratio(
  dividend: Operand<Counter | Histogram>,
  divisor: Operand<Counter | Histogram>,
  options: WindowOptions,
): Expression
export function ratio(dividend: Expression, divisor: Expression): Expression
export function ratio(
  dividend: Operand<Counter | Histogram> | Expression,
  divisor: Operand<Counter | Histogram> | Expression,
  options?: WindowOptions,
): Expression {
  const over = toExpression(dividend, options)
  return { type: 'ratio', by: over.by, dividend: over, divisor: toExpression(divisor, options) }
}

/** The selectors of an expression, in reading order. */
export function selectorsOf(expression: Expression): Selector[] {
  if (expression.type !== 'ratio') return [expression.of]
  return [...selectorsOf(expression.dividend), ...selectorsOf(expression.divisor)]
}

function toExpression(
  of: Operand<Counter | Histogram> | Expression,
  options: WindowOptions | undefined,
): Expression {
  if (typeof of === 'object' && 'type' in of) return of
  if (options === undefined) throw new TypeError('ratio of two metrics needs windowMs')
  return rate(of, options)
}

function selectorOf(of: Operand<Counter | Gauge | Histogram>): Selector {
  if (typeof of === 'string') return { name: of, where: {} }
  if (!('metric' in of)) return { name: of.name, where: {}, handle: of }
  const { metric, where } = of
  if (typeof metric === 'string') return { name: metric, where }
  return { name: metric.name, where, handle: metric }
}
