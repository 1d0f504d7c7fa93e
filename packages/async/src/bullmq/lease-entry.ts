import { createRedisBackend, type QueueOptions, type RedisQueueBackend } from 'bullmq'
import { Redis, type RedisOptions } from 'ioredis'
import { workerData } from 'node:worker_threads'
import { serveLeases } from '../task-queue/lease/serve-leases.ts'

/** What the thread that renews leases is given. */
export interface LeaseEntryData {
  readonly options: RedisOptions
  readonly prefix: string
  readonly leaseMs: number
}

const { options, prefix, leaseMs } = workerData as LeaseEntryData
const always = { lazyConnect: false, maxRetriesPerRequest: null } satisfies RedisOptions
const redis = new Redis({ ...options, ...always } as typeof always)
// The client connects again by itself; what could not be renewed meanwhile is told as lost.
redis.on('error', () => {})
const backends = new Map<string, RedisQueueBackend>()

serveLeases({
  leaseMs,
  extend: async (queue, leases) => {
    let backend = backends.get(queue)
    if (backend === undefined) {
      const settings: QueueOptions = { connection: redis, prefix }
      backend = createRedisBackend(queue, settings)
      // Its errors are those of the client that it was given.
      backend.on('error', () => {})
      backends.set(queue, backend)
    }
    return backend.extendLocks(
      leases.map(({ jobId }) => jobId),
      leases.map(({ token }) => token),
      leaseMs,
    )
  },
})
