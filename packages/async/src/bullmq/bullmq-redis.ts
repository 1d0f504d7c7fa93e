import { systemClock, type Clock } from '@dharma/core'
import { Redis, type RedisOptions } from 'ioredis'
import type { QueueEngine } from '../task-queue/index.ts'
import { BullmqEngine } from './bullmq-engine.ts'

export interface BullmqRedisOptions {
  /**
   * A `redis://` URL, options of ioredis, or a client. A client given is yours to close and must
   * have `maxRetriesPerRequest: null`.
   */
  readonly connection: string | RedisOptions | Redis
  /** Before every key of the queues. @default 'bull', where BullMQ's own tools look */
  readonly prefix?: string
  /**
   * How long a job belongs to a worker that gives no sign of life; afterwards another takes it over,
   * within half this time. At least 500. @default 3000
   */
  readonly leaseMs?: number
  /** How long the outcome of a job can be asked for. At least 1000. @default 3_600_000 (1 h) */
  readonly resultTtlMs?: number
  /** Outcomes kept for each queue at most, the oldest go first. At least 1. @default 10_000 */
  readonly maxResults?: number
  /** How long a dead letter is kept. At least 1000. @default 604_800_000 (7 d) */
  readonly deadLetterTtlMs?: number
  /** Dead letters kept for each queue at most, the oldest go first. At least 1. @default 10_000 */
  readonly maxDeadLetters?: number
  /** By which waiting jobs age; delays go by the machine's. @default systemClock */
  readonly clock?: Clock
  /** Called when Redis could not be reached; the clients reconnect by themselves. @default a process warning */
  readonly onError?: (error: Error) => void
}

/** Jobs in Redis, as BullMQ keeps them: any number of processes may enqueue and work. */
export function bullmqRedis(options: BullmqRedisOptions): QueueEngine {
  const {
    connection,
    prefix = 'bull',
    leaseMs = 3_000,
    resultTtlMs = 3_600_000,
    maxResults = 10_000,
    deadLetterTtlMs = 604_800_000,
    maxDeadLetters = 10_000,
    clock = systemClock,
    onError = (error: Error) => process.emitWarning(error),
  } = options
  const limits = {
    leaseMs: [leaseMs, 500],
    resultTtlMs: [resultTtlMs, 1_000],
    maxResults: [maxResults, 1],
    deadLetterTtlMs: [deadLetterTtlMs, 1_000],
    maxDeadLetters: [maxDeadLetters, 1],
  }
  for (const [option, [value = 0, min = 0]] of Object.entries(limits)) {
    if (!(value >= min)) throw new RangeError(`${option} must be at least ${min}, got ${value}`)
  }
  const isGiven = connection instanceof Redis
  const redis = isGiven ? connection : connect(connection, onError)
  return new BullmqEngine({
    redis,
    prefix,
    leaseMs,
    resultTtlMs,
    maxResults,
    deadLetterTtlMs,
    maxDeadLetters,
    clock,
    onError,
    release: () => (isGiven ? undefined : redis.disconnect()),
  })
}

/** Commands wait for the server as long as it is away: jobs are not given up over an outage. */
function connect(connection: string | RedisOptions, onError: (error: Error) => void): Redis {
  const always = {
    maxRetriesPerRequest: null,
    connectTimeout: 5_000,
    retryStrategy: (attempt: number) => Math.min(1_000, attempt * 50),
  } satisfies RedisOptions
  const redis =
    typeof connection === 'string'
      ? new Redis(connection, always)
      : new Redis({ ...always, ...connection, maxRetriesPerRequest: null } as typeof always)
  redis.on('error', onError)
  return redis
}
