import type { CheckResult, HealthKind, HealthStatus } from './check.ts'

/** One status for many checks: the worst, where what is not critical can only degrade. */
export function combine(results: readonly CheckResult[]): HealthStatus {
  let worst: HealthStatus = 'up'
  for (const { status, isCritical } of results) {
    const counted = isCritical || status === 'up' ? status : 'degraded'
    if (SEVERITY[counted] > SEVERITY[worst]) worst = counted
  }
  return worst
}

/** A process that was not looked at yet is alive; ready or started it is only once known to be. */
export function isOk(kind: HealthKind, status: HealthStatus): boolean {
  switch (status) {
    case 'up':
    case 'degraded':
      return true
    case 'pending':
      return kind === 'liveness'
    case 'down':
      return false
  }
}

const SEVERITY: Readonly<Record<HealthStatus, number>> = { up: 0, degraded: 1, pending: 2, down: 3 }
