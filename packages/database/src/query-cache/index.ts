export { bsonCodec, type BsonCodec, type BsonLibrary } from './bson-codec.ts'
export {
  CachedCollections,
  type CachedAggregationOptions,
  type CachedCollectionsStats,
  type CachedFindOptions,
  type CachedReadTimes,
} from './cached-collections.ts'
export type { CachedCollectionsOptions } from './cached-collections-options.ts'
export {
  CachedQueries,
  type CachedQueriesStats,
  type CachedQueryOptions,
} from './cached-queries.ts'
export type { CachedQueriesOptions, DeclaredEffects } from './cached-queries-options.ts'
export {
  installChangeTriggers,
  removeChangeTriggers,
  type ChangeTriggerOptions,
} from './change-triggers.ts'
export type { FollowOptions } from './change-follower.ts'
export type { CollectionReads } from './collection-reads.ts'
export { NotCacheableError } from './not-cacheable-error.ts'
export type { QueryCache, QueryCacheContext, QueryCacheOptions } from './query-cache.ts'
export type { ReadPlan } from './read-plan.ts'
export type { WritePlan } from './write-plan.ts'
