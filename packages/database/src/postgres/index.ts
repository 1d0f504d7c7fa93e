export type { CopyIntoOptions, CopyProgress, CopyResult, CopyRows } from './copy/copy-into.ts'
export type { BadRow, CopyFormat, CopyRow } from './copy/row-encoder.ts'
export {
  CopyRowError,
  PostgresConnectionError,
  PostgresQueryError,
  PostgresTimeoutError,
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
export { PointLoader, type PointLoaderOptions } from './point-loader.ts'
export { PostgresManager, type PostgresStats } from './postgres-manager.ts'
export type {
  PipelineOptions,
  PostgresManagerOptions,
  PostgresPoolOptions,
} from './postgres-options.ts'
export type { StreamOptions } from './row-stream.ts'
export type { QueryOptions, QueryResult } from './session.ts'
export { sql, type SqlStatement } from './sql.ts'
export { Transaction, type TransactionOptions } from './transaction.ts'
