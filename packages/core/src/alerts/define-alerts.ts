import { requireWhole } from '../range.ts'
import type { Metrics } from '../metrics.ts'
import { checkExpression, type MetricKind } from './check-expression.ts'
import type { Expression } from './expression.ts'
import { placeholdersOf } from './summary-text.ts'

/** How bad it is: `critical` wakes somebody up. */
export type AlertSeverity = 'info' | 'warning' | 'critical'

/** One alert: what to look at, from which value on it is wrong, and what to do then. */
export type AlertDefinition = AlertText & AlertLimit

export interface AlertText {
  /** Upper camel case, such as `CacheHitRatioLow`; unique among the alerts. */
  readonly name: string
  readonly when: Expression
  /** How long it must be wrong without a break before the alert fires. From 0. @default 0 */
  readonly forMs?: number
  readonly severity: AlertSeverity
  /** What is wrong, one sentence. `{label}` stands for the value of a label in `by`. */
  readonly summary: string
  /** Where it says what to do: an http(s) URL. */
  readonly runbook?: string
}

/** The limit, beyond which it is wrong; at the limit it is not. */
export type AlertLimit =
  | { readonly below: number; readonly above?: undefined }
  | { readonly above: number; readonly below?: undefined }

export interface DefineAlertsOptions {
  /** Where the metrics must be, with the right kind and labels. Needed for metrics given by name. */
  readonly metrics?: Pick<Metrics, 'read'>
  /** Between two scrapes, which is also between two evaluations, in milliseconds. At least 1,000. @default 15_000 */
  readonly scrapeIntervalMs?: number
}

/** Alerts that were checked, for `createAlertEvaluator` and `writePrometheusRules`. */
export interface Alerts {
  readonly definitions: readonly AlertDefinition[]
  readonly scrapeIntervalMs: number
  /** What each metric is that they look at, by its full name. */
  readonly kinds: ReadonlyMap<string, MetricKind>
}

/**
 * Checks alerts, all of them before anything runs.
 * @throws RangeError naming the alert and the rule that it breaks: a metric that does not exist or
 * is of the wrong kind, an unknown label, a window out of range, a name that is taken, and so on.
 */
export function defineAlerts(
  definitions: readonly AlertDefinition[],
  { metrics, scrapeIntervalMs = 15_000 }: DefineAlertsOptions = {},
): Alerts {
  if (!(Number.isInteger(scrapeIntervalMs) && scrapeIntervalMs >= 1_000)) {
    throw new RangeError(
      `scrapeIntervalMs must be a whole number of at least 1000, got ${scrapeIntervalMs}`,
    )
  }
  const names = new Set<string>()
  const kinds = new Map<string, MetricKind>()
  for (const definition of definitions) {
    checkText(definition, names)
    checkLimit(definition)
    checkExpression(definition.when, {
      alert: definition.name,
      metrics,
      scrapeIntervalMs,
      kinds,
    })
  }
  return { definitions: [...definitions], scrapeIntervalMs, kinds }
}

function checkText(definition: AlertDefinition, names: Set<string>): void {
  const { name, severity, summary, when, runbook } = definition
  if (!CAMEL_CASE.test(name)) {
    throw new RangeError(
      `name of an alert must be in upper camel case, got ${JSON.stringify(name)}`,
    )
  }
  if (names.has(name)) throw new RangeError(`name of an alert must be unique, got ${name} again`)
  names.add(name)
  if (!SEVERITIES.includes(severity)) {
    throw new RangeError(`alert ${name}: severity must be one of ${SEVERITIES.join(', ')}`)
  }
  if (summary.trim() === '' || summary.includes('\n') || summary.includes('{{')) {
    throw new RangeError(`alert ${name}: summary must be one line of text without '{{'`)
  }
  for (const label of placeholdersOf(summary)) {
    if (when.by.includes(label)) continue
    throw new RangeError(`alert ${name}: summary speaks of {${label}}, which is not in by`)
  }
  if (runbook !== undefined && !/^https?:\/\/[^\s{}@]+$/.test(runbook)) {
    throw new RangeError(`alert ${name}: runbook must be an http(s) URL without credentials`)
  }
}

function checkLimit({ name, below, above, forMs = 0 }: AlertDefinition): void {
  if ((below === undefined) === (above === undefined)) {
    throw new RangeError(`alert ${name} needs either below or above`)
  }
  if (!Number.isFinite(below ?? above)) {
    throw new RangeError(`alert ${name}: its limit must be finite, got ${below ?? above}`)
  }
  requireWhole(`alert ${name}: forMs`, forMs, 0)
}

const CAMEL_CASE = /^[A-Z][A-Za-z0-9]{2,99}$/
const SEVERITIES: readonly AlertSeverity[] = ['info', 'warning', 'critical']
