import type { ConnectionOptions } from 'bullmq'
import { Redis } from 'ioredis'
import type { QueueEngine } from '../task-queue/index.ts'
import { BullmqEngine } from './bullmq-engine.ts'

export interface BullmqRedisOptions {
  /**
   * A `redis://` URL, or what BullMQ takes: ioredis options or a client. A client given is yours to
   * close and must have `maxRetriesPerRequest: null`.
   */
  readonly connection: string | ConnectionOptions
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
    onError = (error: Error) => process.emitWarning(error),
  } = options
  const limits = {
    leaseMs: [leaseMs, 500],
    resultTtlMs: [resultTtlMs, 1_000],
    maxResults: [maxResults, 1],
  }
  for (const [option, [value = 0, min = 0]] of Object.entries(limits)) {
    if (!(value >= min)) throw new RangeError(`${option} must be at least ${min}, got ${value}`)
  }
  const owned = typeof connection === 'string' ? connect(connection, onError) : undefined
  return new BullmqEngine({
    connection: owned ?? (connection as ConnectionOptions),
    prefix,
    leaseMs,
    resultTtlMs,
    maxResults,
    onError,
    release: async () => owned?.disconnect(),
  })
}

/** BullMQ repeats commands itself, and its blocking reads must not be limited. */
function connect(url: string, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: null, connectTimeout: 5_000 })
  redis.on('error', onError)
  return redis
}
