export {
  AsyncManager,
  createAsyncManager,
  mapBatch,
  mapStream,
  type AsyncManagerOptions,
} from './async-manager/index.ts'
export {
  createPolicy,
  exponential,
  retry,
  RetryBudget,
  RetryError,
  withTimeout,
  type Policy,
  type PolicyOptions,
  type RetryOptions,
} from './resilience/index.ts'
