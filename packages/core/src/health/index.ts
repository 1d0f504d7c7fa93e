export {
  CheckVerdict,
  degraded,
  down,
  type CheckHandle,
  type CheckOptions,
  type CheckResult,
  type HealthKind,
  type HealthStatus,
} from './check.ts'
export type { EventLoopLimits, EventLoopProbe, EventLoopReading } from './event-loop.ts'
export {
  createHealth,
  type Health,
  type HealthChange,
  type HealthOptions,
  type HealthReport,
} from './health.ts'
export type { PressureLimits, PressureReading, PressureSource } from './pressure.ts'
