export {
  FaultUnsupportedError,
  ServerStartError,
  ServerUnavailableError,
  TestkitError,
  type Attempt,
} from './errors.ts'
export type {
  Address,
  Origin,
  RestartOptions,
  ServerKind,
  ServerState,
  StartOptions,
  TestServer,
} from './test-server.ts'
export { startMongo, type MongoOptions } from './mongo/start-mongo.ts'
export { startPostgres } from './postgres/start-postgres.ts'
export type { PostgresOptions } from './postgres/postgres-options.ts'
export type { RedisOptions, RedisTls } from './redis/redis-options.ts'
export { startRedis } from './redis/start-redis.ts'
export { FaultProxy, startFaultProxy, type FaultProxyStatistics } from './proxy/fault-proxy.ts'
export { createMongoDatabase } from './isolation/mongo-database.ts'
export {
  createPostgresDatabase,
  createPostgresSchema,
  type FreshDatabase,
} from './isolation/postgres-database.ts'
export { keyPrefix, uniqueName } from './isolation/unique-name.ts'
export {
  isPgBouncerAvailable,
  startPgBouncer,
  type PgBouncerOptions,
} from './postgres/start-pgbouncer.ts'
export {
  startPostgresWithReplica,
  type PostgresWithReplica,
} from './postgres/start-postgres-with-replica.ts'
export {
  startRedisCluster,
  type RedisClusterOptions,
  type RedisClusterTopology,
} from './redis/start-redis-cluster.ts'
export {
  startRedisSentinel,
  type RedisSentinelOptions,
  type RedisSentinelTopology,
} from './redis/start-redis-sentinel.ts'
