export {
  createAlertEvaluator,
  type AlertChange,
  type AlertEvaluator,
  type AlertEvaluatorOptions,
  type AlertReading,
} from './alert-evaluator.ts'
export type { AlertState, AlertStatus } from './alert-state.ts'
export { AlertWebhook, AlertWebhookError, type AlertWebhookOptions } from './alert-webhook.ts'
export {
  alertsCheck,
  AlertsFiringError,
  type AlertsCheck,
  type AlertsCheckOptions,
} from './alerts-check.ts'
export type { MetricKind } from './check-expression.ts'
export {
  defineAlerts,
  type AlertDefinition,
  type AlertLimit,
  type Alerts,
  type AlertSeverity,
  type AlertText,
  type DefineAlertsOptions,
} from './define-alerts.ts'
export {
  increase,
  only,
  quantile,
  rate,
  ratio,
  value,
  type Expression,
  type GroupOptions,
  type LabelFilter,
  type MetricReference,
  type Operand,
  type Selection,
  type Selector,
  type SeriesAggregate,
  type ValueOptions,
  type WindowOptions,
} from './expression.ts'
export type { PrometheusVersion } from './extrapolated-increase.ts'
export { writePrometheusRules, type PrometheusRulesOptions } from './prometheus-rules.ts'
export type { WebhookAlert, WebhookPayload } from './webhook-payload.ts'
