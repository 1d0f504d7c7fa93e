export {
  defineTask,
  type Task,
  type TaskContext,
  type TaskOptions,
  type TaskRetryOptions,
} from './define-task.ts'
export { TaskFailedError, TaskInputError, TaskPayloadError, TaskTimeLimitError } from './errors.ts'
export { memory, type MemoryEngineOptions } from './memory/memory-engine.ts'
export type {
  ClaimedJob,
  JobOutcome,
  JobPriority,
  NewJob,
  QueueCounts,
  QueueEngine,
} from './queue-engine.ts'
export {
  createTaskQueue,
  TaskQueue,
  type EnqueueOptions,
  type JobHandle,
  type ResultOptions,
  type TaskQueueOptions,
} from './task-queue.ts'
export type { TaskWorker, WorkOptions } from './task-worker.ts'
