export type { CopyIntoOptions, CopyProgress, CopyResult, CopyRows } from './copy/copy-into.ts'
export type { BadRow, CopyFormat, CopyRow } from './copy/row-encoder.ts'
export {
  CopyRowError,
  PostgresConnectionError,
  PostgresQueryError,
  PostgresTimeoutError,
} from './errors.ts'
export { PostgresManager } from './postgres-manager.ts'
export type { PostgresManagerOptions, PostgresPoolOptions } from './postgres-options.ts'
export type { QueryOptions, QueryResult } from './session.ts'
export { sql, type SqlStatement } from './sql.ts'
export { Transaction, type TransactionOptions } from './transaction.ts'
