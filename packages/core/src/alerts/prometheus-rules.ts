import type { AlertDefinition, Alerts } from './define-alerts.ts'
import { writeCondition, writeDuration, type PromQlOptions } from './prom-ql.ts'
import { templateOf } from './summary-text.ts'

export interface PrometheusRulesOptions {
  /** Name of the group of rules. @default 'dharma' */
  readonly group?: string
  /**
   * Labels that the scrape adds and by which alerts are told apart, so that Prometheus decides on
   * each process as the process does itself. @default ['job', 'instance']
   */
  readonly keep?: readonly string[]
}

/**
 * The alerts as a rule file of Prometheus, in YAML. It decides as the evaluator in the process does,
 * as long as the server scrapes at the alerts' `scrapeIntervalMs`.
 */
export function writePrometheusRules(
  { definitions, scrapeIntervalMs, kinds }: Alerts,
  { group = 'dharma', keep = ['job', 'instance'] }: PrometheusRulesOptions = {},
): string {
  const rules = definitions.flatMap((definition) => writeRule(definition, { kinds, keep }))
  return [
    '# Written by writePrometheusRules: change the alerts, not this file.',
    'groups:',
    `  - name: ${JSON.stringify(group)}`,
    `    interval: ${writeDuration(scrapeIntervalMs)}`,
    rules.length === 0 ? '    rules: []' : '    rules:',
    ...rules,
    '',
  ].join('\n')
}

/** A string in JSON is one in YAML. */
function writeRule(definition: AlertDefinition, options: PromQlOptions): string[] {
  const { name, forMs = 0, severity, summary, runbook } = definition
  const lines = [
    `      - alert: ${name}`,
    `        expr: ${JSON.stringify(writeCondition(definition, options))}`,
  ]
  if (forMs > 0) lines.push(`        for: ${writeDuration(forMs)}`)
  lines.push(
    '        labels:',
    `          severity: ${severity}`,
    '        annotations:',
    `          summary: ${JSON.stringify(templateOf(summary))}`,
  )
  if (runbook !== undefined) lines.push(`          runbook_url: ${JSON.stringify(runbook)}`)
  return lines
}
