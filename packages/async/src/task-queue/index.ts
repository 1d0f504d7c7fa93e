export {
  defineTask,
  type Task,
  type TaskContext,
  type TaskOptions,
  type TaskRetryOptions,
} from './define-task.ts'
export type { EnqueueOptions } from './enqueue-options.ts'
export {
  ChunkFailedError,
  TaskCancelledError,
  TaskFailedError,
  TaskInputError,
  TaskPayloadError,
  TaskTimeLimitError,
  WorkflowFailedError,
} from './errors.ts'
export type { JobHandle, ResultOptions } from './job-handle.ts'
export type { JobInfo, JobState } from './job-info.ts'
export { memory, type MemoryEngineOptions } from './memory/memory-engine.ts'
export { QueueAdmin, type QueueStats } from './queue-admin.ts'
export {
  PRIORITY_AGE_MS,
  type ClaimedJob,
  type ClaimRequest,
  type FailureKind,
  type JobMeta,
  type JobOutcome,
  type JobPriority,
  type NewJob,
  type Page,
  type QueueCounts,
  type QueueEngine,
  type QueueEvent,
  type RunFailure,
} from './queue-engine.ts'
export type { ScheduleOptions, Timing } from './schedule/schedule-spec.ts'
export type { StoredSchedule } from './schedule/schedule-store.ts'
export type { SignalBus } from './signal-bus.ts'
export {
  takeFromBucket,
  type PutOptions,
  type RateGrant,
  type RateLimit,
  type StateEntry,
  type StateStore,
} from './state-store.ts'
export {
  createTaskQueue,
  TaskQueue,
  type EnqueueManyOptions,
  type TaskQueueOptions,
} from './task-queue.ts'
export type { ConcurrencyRange } from './worker/adaptive-concurrency.ts'
export type { QueueOrderOption } from './worker/queue-order.ts'
export type { TaskWorker, WorkOptions } from './worker/task-worker.ts'
export type { WorkerInfo } from './worker/worker-presence.ts'
export {
  chain,
  chord,
  chunks,
  group,
  map,
  type BoundOptions,
  type Flow,
  type InputOf,
  type OutputOf,
  type Step,
} from './workflow/flow.ts'
export type { WorkflowHandle } from './workflow/workflow-handle.ts'
export type { StepFailure, WorkflowStatus } from './workflow/workflow-runs.ts'
