export type { PoolResourceLimits } from './channel.ts'
export type { ErrorClass } from './error-decoder.ts'
export {
  CrashLoopError,
  PoolQueueFullError,
  TaskPayloadError,
  TaskTimeoutError,
  WorkerChannelError,
  WorkerExitError,
  WorkerMemoryError,
  type ExitFacts,
  type TaskFacts,
} from './errors.ts'
export type { TaskOutcome } from './pool-counters.ts'
export type { WorkerPoolHealth } from './pool-health.ts'
export type { PoolLoad, PoolStats, WorkerStats } from './pool-stats.ts'
export type { WorkerPhase } from './pool-worker.ts'
export { taskContext, type TaskContext } from './task-context.ts'
export type { TaskArguments, TaskName, TaskProxy, TaskResult } from './task-functions.ts'
export { transfer } from './transfer.ts'
export type { WorkerEndReason } from './worker-owner.ts'
export { createWorkerPool, WorkerPool, type ClosePoolOptions } from './worker-pool.ts'
export type {
  RecycleOptions,
  TaskOptions,
  WorkerPoolEvent,
  WorkerPoolOptions,
} from './worker-pool-options.ts'
