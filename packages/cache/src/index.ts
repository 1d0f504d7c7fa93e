export { Cache, createCache } from './cache.ts'
export {
  CacheManager,
  createCacheManager,
  type CacheManagerOptions,
  type NamedCacheOptions,
} from './cache-manager.ts'
export type { CacheOptions, MemoryOptions } from './cache-options.ts'
export type { CacheHealth, CacheStats } from './cache-stats.ts'
export type { Codec } from './codec.ts'
export type { EntryOptions, LoadContext, Loader, LoadOptions } from './entry-options.ts'
export {
  InvalidValueError,
  RedisUnavailableError,
  RemoteLoadError,
  ValueEncodingError,
} from './errors.ts'
export type { DegradedEvent, InvalidationResult } from './invalidations.ts'
export { escapeKeyPart, type Policy, type ValueSchema } from './policy.ts'
export { PolicyCache } from './policy-cache.ts'
export { bytesCodec, jsonCodec, msgpackrCodec, superjsonCodec, v8Codec } from './redis/codecs.ts'
export type { EncryptionKey } from './redis/encryption.ts'
export type { InvalidationTargets } from './redis/invalidation-writer.ts'
export type {
  ClusterRedisOptions,
  RedisCredentials,
  RedisTarget,
  SentinelRedisOptions,
  StandaloneRedisOptions,
} from './redis/redis-options.ts'
