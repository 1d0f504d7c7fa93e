export { bullmqRedis, type BullmqRedisOptions } from './bullmq-redis.ts'
