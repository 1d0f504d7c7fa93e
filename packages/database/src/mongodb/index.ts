export type { AggregationCost, ExplainedAggregation } from './aggregation/explain-aggregation.ts'
export { optimizePipeline } from './aggregation/optimize-pipeline.ts'
export type { OptimizedPipeline, PipelineFacts, PipelineRewrite } from './aggregation/rule.ts'
export type { BulkUpsertOptions, BulkUpsertResult } from './bulk-upsert.ts'
export type { BulkWriteOptions, BulkWriteReport, WriteFailure } from './bulk-write.ts'
export { ChangeFeed, type WatchOptions } from './change-feed.ts'
export {
  CollectionChangeTokens,
  MemoryChangeTokens,
  type ChangeTokenStore,
} from './change-tokens.ts'
export {
  MongoChangeGapError,
  MongoCommitUnclearError,
  MongoConnectionError,
  MongoCursorLostError,
  MongoOperationError,
} from './errors.ts'
export type { InsertFailure, InsertManyOptions, InsertManyResult } from './insert-many.ts'
export { MongoManager } from './mongo-manager.ts'
export type { MongoObserver, MongoTransactionOutcome, ObservedOperation } from './mongo-observer.ts'
export type {
  MongoManagerOptions,
  MongoPoolOptions,
  ReadConsistency,
  WriteDurability,
} from './mongo-options.ts'
export type {
  AggregationOptions,
  OperationOptions,
  ReadOptions,
  UpdateOptions,
  UpdateResult,
} from './operation-options.ts'
export type { MongoTransactionOptions } from './transact.ts'
