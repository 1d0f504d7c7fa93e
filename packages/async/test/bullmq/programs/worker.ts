/** A worker process for the fault tests: its orders come by environment, its starts and ends go to Redis lists. */
import { bullmqRedis } from '@dharma/async/bullmq'
import { createTaskQueue, defineTask } from '@dharma/async/task-queue'
import { silentLogger } from '@dharma/core'
import { Redis } from 'ioredis'
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'

const url = process.env['REDIS_URL'] ?? ''
const scope = process.env['SCOPE'] ?? ''
const redis = new Redis(url, { maxRetriesPerRequest: null })
redis.on('error', () => {})
const engine = bullmqRedis({ connection: url, onError: () => {} })
const queue = createTaskQueue({ engine, logger: silentLogger })

/** Notes its start, works for a while, notes its end. */
const note = defineTask({
  name: `${scope}.note`,
  queue: scope,
  input: z.object({ n: z.number(), workMs: z.number() }),
  retry: { maxCrashes: 50 },
  run: async ({ n, workMs }, { signal }) => {
    await redis.rpush(`${scope}:started`, n)
    if (workMs > 0) await setTimeout(workMs, undefined, { signal })
    signal.throwIfAborted()
    await redis.rpush(`${scope}:ended`, n)
    return n
  },
})

/** Notes its start and, in milliseconds since the epoch, when its signal aborted. */
const wait = defineTask({
  name: `${scope}.wait`,
  queue: scope,
  input: z.number(),
  run: async (n, { signal }) => {
    const aborted = once(signal, 'abort').then(() => Date.now())
    await redis.rpush(`${scope}:started`, n)
    await redis.rpush(`${scope}:aborted`, await aborted)
  },
})

/** Blocks the event loop. */
const block = defineTask({
  name: `${scope}.block`,
  queue: scope,
  input: z.object({ blockMs: z.number() }),
  run: async ({ blockMs }) => {
    await redis.rpush(`${scope}:started`, 'block')
    const untilMs = performance.now() + blockMs
    while (performance.now() < untilMs);
    return process.pid
  },
})

/** Ends its process. */
const poison = defineTask({
  name: `${scope}.poison`,
  queue: scope,
  input: z.object({}),
  run: async () => {
    await redis.rpush(`${scope}:started`, 'poison')
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => {})
  },
})

const double = defineTask({
  name: `${scope}.double`,
  queue: scope,
  input: z.number(),
  retry: { maxCrashes: 50 },
  run: async (n) => {
    await setTimeout(5)
    await redis.rpush(`${scope}:ended`, n)
    return n * 2
  },
})

const sum = defineTask({
  name: `${scope}.sum`,
  queue: scope,
  input: z.array(z.number()),
  retry: { maxCrashes: 50 },
  run: (all) => all.reduce((total, n) => total + n, 0),
})

process.on('SIGTERM', () => {
  void queue.close().then(() => process.exit(0))
})
// Now, since a killed process has no end at which it would be written.
flushCompileCache()
process.once('message', () => {
  queue.work([note, wait, block, poison, double, sum], {
    concurrency: Number(process.env['CONCURRENCY'] ?? 10),
    closeTimeoutMs: 100,
    onError: () => {},
  })
  process.send?.('working')
})
process.send?.('ready')
