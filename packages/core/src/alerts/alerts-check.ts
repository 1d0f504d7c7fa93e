import { DharmaError } from '../errors.ts'
import type { AlertEvaluator } from './alert-evaluator.ts'
import type { AlertSeverity } from './define-alerts.ts'

/** Alerts are firing; their names are what a probe shows. */
export class AlertsFiringError extends DharmaError {
  override readonly name = 'AlertsFiringError'
  readonly code = 'DHARMA_ALERTS_FIRING'
  /** Names of the alerts, each once. */
  readonly alerts: readonly string[]

  constructor(alerts: readonly string[], options?: ErrorOptions) {
    super(`firing: ${alerts.join(', ')}`, options)
    this.alerts = alerts
  }
}

export interface AlertsCheckOptions {
  /** The least severity that counts. @default 'critical' */
  readonly severity?: AlertSeverity
  /** Whether firing alerts take the process out of service, and not only show as `degraded`. @default false */
  readonly isCritical?: boolean
}

/** What `health.register` takes. */
export interface AlertsCheck {
  readonly name: 'alerts'
  readonly kind: 'readiness'
  readonly isCritical: boolean
  readonly check: () => void
}

/** A readiness check that fails while alerts are firing: `health.register(alertsCheck(evaluator))`. */
export function alertsCheck(
  evaluator: Pick<AlertEvaluator, 'firing'>,
  { severity = 'critical', isCritical = false }: AlertsCheckOptions = {},
): AlertsCheck {
  const check = (): void => {
    const counting = evaluator.firing().filter((one) => RANK[one.severity] >= RANK[severity])
    if (counting.length === 0) return
    throw new AlertsFiringError([...new Set(counting.map(({ name }) => name))])
  }
  return { name: 'alerts', kind: 'readiness', isCritical, check }
}

const RANK: Readonly<Record<AlertSeverity, number>> = { info: 0, warning: 1, critical: 2 }
