export {
  attachSharedMetrics,
  type AttachSharedMetricsOptions,
  type ThreadMetrics,
} from './attach-shared-metrics.ts'
export { bridgeToOpenTelemetry } from './bridge-to-open-telemetry.ts'
export { createMetrics, type CreateMetricsOptions } from './create-metrics.ts'
export type { MetricsHome } from './metrics-home.ts'
export { NAMED_BOUNDS } from './named-bounds.ts'
export type { PrometheusRegistry } from './prometheus-registry.ts'
export {
  createSharedMetrics,
  type CreateSharedMetricsOptions,
  type SharedMetrics,
} from './shared-metrics.ts'
export { EXPOSITION_CONTENT_TYPES } from '../metrics.ts'
export { noopMetrics } from '../noop-metrics.ts'
