import type { Metrics } from '../metrics.ts'
import type { Expression, Selector } from './expression.ts'

/** What an expression is checked against. */
export interface ExpressionRules {
  /** Named in every refusal. */
  readonly alert: string
  readonly metrics: Pick<Metrics, 'read'> | undefined
  readonly scrapeIntervalMs: number
  /** Filled with what each metric is. */
  readonly kinds: Map<string, MetricKind>
}

/** What a metric is. */
export type MetricKind = 'counter' | 'gauge' | 'histogram'

interface MetricShape {
  readonly kind: MetricKind
  readonly labels: readonly string[]
}

/** @throws RangeError naming the alert and the rule that its expression breaks. */
export function checkExpression(expression: Expression, rules: ExpressionRules): void {
  const { alert } = rules
  if (expression.type === 'ratio') {
    const { dividend, divisor } = expression
    checkExpression(dividend, rules)
    checkExpression(divisor, rules)
    if (dividend.by.toSorted().join() !== divisor.by.toSorted().join()) {
      refuse(
        alert,
        `divides what is by [${dividend.by.join()}] by what is by [${divisor.by.join()}]`,
      )
    }
    return
  }
  checkSelector(expression.of, expression.by, KINDS_FOR[expression.type], rules)
  if (expression.type !== 'value') checkWindow(expression.windowMs, rules)
  if (expression.type === 'quantile' && !(expression.q > 0 && expression.q < 1)) {
    refuse(alert, `needs a quantile between 0 and 1, got ${expression.q}`)
  }
}

function checkSelector(
  selector: Selector,
  by: readonly string[],
  kinds: readonly MetricKind[],
  rules: ExpressionRules,
): void {
  const { alert } = rules
  const { name, where } = selector
  const { kind, labels } = shapeOf(selector, rules)
  if (!kinds.includes(kind)) {
    refuse(alert, `needs a ${kinds.join(' or a ')}, but ${name} is a ${kind}`)
  }
  rules.kinds.set(name, kind)
  if (new Set(by).size !== by.length) refuse(alert, `has the same label twice in by`)
  for (const label of [...by, ...Object.keys(where)]) {
    if (labels.includes(label)) continue
    const known = labels.length === 0 ? 'none' : labels.join(', ')
    refuse(alert, `asks ${name} for the label '${label}', its labels are: ${known}`)
  }
  const taken = by.find((label) => TAKEN_LABELS.has(label))
  if (taken !== undefined)
    refuse(alert, `cannot be told apart by '${taken}': it has that label itself`)
  for (const [label, wanted] of Object.entries(where)) {
    if (wanted.length === 0) refuse(alert, `wants no value of the label '${label}'`)
  }
}

/** What is registered under the name, which wins, or what the handle says of itself. */
function shapeOf({ name, handle }: Selector, { alert, metrics }: ExpressionRules): MetricShape {
  if (metrics !== undefined) {
    const reading = metrics.read(name)
    if (reading === undefined) refuse(alert, `looks at a metric that does not exist: ${name}`)
    return reading
  }
  if (handle === undefined) refuse(alert, `names the metric ${name}: give the option metrics`)
  if ('bounds' in handle) return { kind: 'histogram', labels: handle.labels }
  return { kind: 'readFrom' in handle ? 'gauge' : 'counter', labels: handle.labels }
}

function checkWindow(windowMs: number, { alert, scrapeIntervalMs }: ExpressionRules): void {
  const least = 2 * scrapeIntervalMs
  const most = MOST_INTERVALS * scrapeIntervalMs
  if (!(Number.isInteger(windowMs) && windowMs > least && windowMs < most)) {
    refuse(alert, `needs windowMs as a whole number between ${least} and ${most}, got ${windowMs}`)
  }
  if (windowMs % scrapeIntervalMs !== 0) return
  const better = windowMs + Math.min(1_000, scrapeIntervalMs / 2)
  refuse(
    alert,
    `needs a windowMs that is no multiple of scrapeIntervalMs (${scrapeIntervalMs}): whether the ` +
      `oldest sample counts would depend on Prometheus' version; ${better} will do, got ${windowMs}`,
  )
}

function refuse(alert: string, rule: string): never {
  throw new RangeError(`alert ${alert} ${rule}`)
}

const TAKEN_LABELS = new Set(['alertname', 'severity', 'alertstate'])
const MOST_INTERVALS = 2_000
const KINDS_FOR: Readonly<Record<Exclude<Expression['type'], 'ratio'>, readonly MetricKind[]>> = {
  rate: ['counter', 'histogram'],
  increase: ['counter', 'histogram'],
  value: ['gauge'],
  quantile: ['histogram'],
}
