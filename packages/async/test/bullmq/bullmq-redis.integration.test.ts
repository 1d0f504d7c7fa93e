import { bullmqRedis } from '@dharma/async/bullmq'
import { createTaskQueue, defineTask } from '@dharma/async/task-queue'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import { expect, inject, it } from 'vitest'
import { z } from 'zod'
import { describeQueueContract } from '../task-queue/queue-contract.ts'

const url = inject('redisUrl')

describeWithRedis('bullmqRedis', () => {
  describeQueueContract('BullMQ over Redis', () => ({
    createEngine: (options) => bullmqRedis({ connection: url, prefix: 'contract', ...options }),
    isShared: true,
    scope: randomUUID(),
  }))

  const scope = randomUUID()
  const greet = defineTask({
    name: `${scope}.greet`,
    queue: `${scope}.greetings`,
    input: z.object({ name: z.string() }),
    run: ({ name }) => `hello ${name}`,
  })

  it('gives the result to another process than the one that ran the task', async () => {
    await using worker = createTaskQueue({ engine: bullmqRedis({ connection: url }) })
    await using client = createTaskQueue({ engine: bullmqRedis({ connection: url }) })
    worker.work([greet])
    const job = await client.enqueue(greet, { name: 'Ada' })
    expect(await job.result({ timeoutMs: 10_000 })).toBe('hello Ada')
  })

  it('keeps jobs in a form that tools of BullMQ read', async () => {
    await using queue = createTaskQueue({ engine: bullmqRedis({ connection: url }) })
    const other = { ...greet, queue: `${scope}.readable` }
    const { id } = await queue.enqueue(other, { name: 'Bob' })
    const plain = new Queue(other.queue, {
      connection: new Redis(url, { maxRetriesPerRequest: null }),
    })
    const job = await plain.getJob(id)
    expect(job).toMatchObject({ name: greet.name, data: { name: 'Bob' }, opts: { attempts: 3 } })
    await plain.close()
    await plain.disconnect()
  })

  it('takes a job over from a worker that has died', async () => {
    const dead = bullmqRedis({ connection: url, leaseMs: 600 })
    await using queue = createTaskQueue({ engine: bullmqRedis({ connection: url, leaseMs: 600 }) })
    const other = { ...greet, queue: `${scope}.takeover` }
    const job = await queue.enqueue(other, { name: 'Eve' })
    // Claimed and never renewed nor ended, as if the process had been killed.
    const request = {
      queues: [{ name: other.queue, share: 1 }],
      count: 1,
      holdMs: () => 0,
      onLost: () => {},
      onAlive: () => {},
    }
    expect(await dead.claim(request, new AbortController().signal)).toHaveLength(1)
    queue.work([other])
    expect(await job.result({ timeoutMs: 15_000 })).toBe('hello Eve')
    await dead.close()
  })

  it.each([
    ['leaseMs', { leaseMs: 10 }],
    ['resultTtlMs', { resultTtlMs: 1 }],
    ['maxResults', { maxResults: 0 }],
  ])('names the option %s when it is out of range', (option, options) => {
    expect(() => bullmqRedis({ connection: url, ...options })).toThrow(RangeError)
    expect(() => bullmqRedis({ connection: url, ...options })).toThrow(option)
  })
})
