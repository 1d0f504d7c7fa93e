export {
  AsyncManager,
  createAsyncManager,
  type AsyncManagerOptions,
  type CloseOptions,
} from './async-manager.ts'
export {
  BackgroundFullError,
  type BackgroundOptions,
  type BackgroundTask,
  type DrainResult,
} from './background-tasks.ts'
export { mapBatch, type BatchFunction, type ItemFunction, type MapBatch } from './map-batch.ts'
export type {
  BatchedItems,
  CollectedErrors,
  Items,
  MapContext,
  MapOptions,
  MapOutcome,
  MapProgress,
  SingleItems,
  StreamBuffer,
  ThrowingErrors,
} from './map-options.ts'
export { mapStream, type MapStream, type ResultStream } from './map-stream.ts'
export {
  moduleTasks,
  type ModuleTask,
  type ModuleTasks,
  type WorkerTask,
  type WorkerTaskPoolOptions,
} from './worker-tasks.ts'
