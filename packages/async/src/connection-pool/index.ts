export type { AcquireOptions, DrainOptions, DrainResult, UseOptions } from './acquire-options.ts'
export type { ConnectionPoolOptions, PoolLimits } from './connection-pool-options.ts'
export { ConnectionPool } from './connection-pool.ts'
export type { Lease } from './lease.ts'
export {
  AcquireTimeoutError,
  CreateFailedError,
  LeaseEndedError,
  PoolQueueFullError,
} from './pool-errors.ts'
export type { PoolEventMap, PoolEventName } from './pool-events.ts'
export type {
  PoolCounts,
  PoolHealth,
  PoolLoad,
  PoolStats,
  PoolTotals,
  Scalable,
} from './pool-stats.ts'
export type { CreateContext, DestroyReason, ResourceFactory } from './resource-factory.ts'
