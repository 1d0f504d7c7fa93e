export { BulkOperations, type LineOptions } from './copy/bulk-operations.ts'
export type { CopyIntoOptions, CopyProgress, CopyResult } from './copy/copy-into.ts'
export type { CopyLine, LendOptions, QueryField } from './copy/copy-line.ts'
export type { CopyOutOptions, CopyOutProgress, CopySource } from './copy/copy-out.ts'
export type { CopyOutResult, CopyOutToOptions } from './copy/copy-out-to.ts'
export type { InsertRowsOptions, InsertRowsResult } from './copy/insert-many.ts'
export type { CopyRows } from './copy/row-source.ts'
export type { UpsertManyOptions, UpsertManyResult } from './copy/upsert-many.ts'
export type { BadRow, CopyFormat, CopyRow } from './copy/row-encoder.ts'
export type { EndpointRole } from './endpoints/endpoint.ts'
export type { EndpointStats } from './endpoints/endpoint-set.ts'
export {
  CopyRowError,
  PostgresConnectionError,
  PostgresQueryError,
  PostgresTimeoutError,
  PostgresUnavailableError,
} from './errors.ts'
export type {
  ListenGap,
  ListenOptions,
  Notification,
  NotificationHandler,
  Subscription,
} from './listener.ts'
export type { LoadManyOptions, PointKey } from './load-many.ts'
export type { FastLaneStats, FastLaneTotals } from './pipeline/lane-stats.ts'
export type { ExplainOptions, Explanation } from './plan/explain.ts'
export type { FindingCode, PlanFinding } from './plan/finding.ts'
export type {
  Plan,
  PlanActual,
  PlanBuffers,
  PlanEstimate,
  PlanNode,
  PlanRelation,
  PlanSpill,
} from './plan/plan-tree.ts'
export { redactLiterals } from './plan/redact-plan.ts'
export { renderExplanation } from './plan/render-explanation.ts'
export { PointLoader, type PointLoaderOptions } from './point-loader.ts'
export type { PoolScaling } from './pool-scaler.ts'
export { PostgresManager, type PostgresStats } from './postgres-manager.ts'
export type {
  AutoscaleOptions,
  PipelineOptions,
  PostgresManagerOptions,
  PostgresPoolOptions,
} from './postgres-options.ts'
export type { ObservedStatement, QueryObserver, TransactionOutcome } from './query-observer.ts'
export type { StreamOptions } from './row-stream.ts'
export type { QueryOptions, QueryResult } from './session.ts'
export { sql, type SqlStatement } from './sql.ts'
export { Transaction, type TransactionOptions } from './transaction.ts'
