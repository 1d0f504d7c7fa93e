import type { AlertReading } from './alert-evaluator.ts'

/** What is posted: version 4 of the webhook of Prometheus' Alertmanager, so that its receivers fit. */
export interface WebhookPayload {
  readonly version: '4'
  readonly receiver: string
  /** `firing` if one of the alerts is. */
  readonly status: 'firing' | 'resolved'
  readonly groupLabels: Readonly<Record<string, string>>
  readonly commonLabels: Readonly<Record<string, string>>
  readonly alerts: readonly WebhookAlert[]
}

export interface WebhookAlert {
  readonly status: 'firing' | 'resolved'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAt: string
  /** Year 1 while it is firing, as Alertmanager has it. */
  readonly endsAt: string
}

/** The payload for alerts that fired or were resolved; others are left out. */
export function toWebhookPayload(
  readings: readonly AlertReading[],
  labels: Readonly<Record<string, string>>,
): WebhookPayload {
  const alerts = readings.flatMap((reading) => toWebhookAlert(reading, labels))
  return {
    version: '4',
    receiver: 'dharma',
    status: alerts.some(({ status }) => status === 'firing') ? 'firing' : 'resolved',
    groupLabels: {},
    commonLabels: labels,
    alerts,
  }
}

function toWebhookAlert(
  { name, severity, summary, runbook, labels: own, state }: AlertReading,
  labels: Readonly<Record<string, string>>,
): WebhookAlert[] {
  if (state.status !== 'firing' && state.status !== 'resolved') return []
  return [
    {
      status: state.status,
      labels: { ...labels, ...own, alertname: name, severity },
      annotations: { summary, ...(runbook !== undefined && { runbook_url: runbook }) },
      startsAt: new Date(state.firingSinceMs).toISOString(),
      endsAt:
        state.status === 'firing'
          ? '0001-01-01T00:00:00Z'
          : new Date(state.resolvedAtMs).toISOString(),
    },
  ]
}
