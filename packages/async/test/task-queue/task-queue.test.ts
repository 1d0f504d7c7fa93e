import { createTaskQueue, defineTask, memory, type QueueEngine } from '@dharma/async/task-queue'
import { silentLogger, type Logger } from '@dharma/core'
import { createHealth } from '@dharma/core/health'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'

const input = z.object({})

function engineThatWarns(warnings: () => Promise<readonly string[]>): QueueEngine {
  return Object.assign(memory(), { warnings })
}

describe('TaskQueue', () => {
  const task = defineTask({ name: 'task', input, run: () => 1 })

  it('says at start, and in its health, what endangers jobs', async () => {
    const warnings = async (): Promise<string[]> => ['this server forgets']
    const warned = Promise.withResolvers<string>()
    const logger: Logger = {
      ...silentLogger,
      warn: (_fields: object | string, message?: unknown) => warned.resolve(String(message)),
    }
    const queue = createTaskQueue({ engine: engineThatWarns(warnings), logger })
    expect(await warned.promise).toBe('this server forgets')
    const health = createHealth()
    const check = health.register(queue.healthCheck())
    expect(await check.refresh()).toMatchObject({
      name: 'task-queue',
      status: 'degraded',
      reason: 'this server forgets',
    })
    await health.close()
    await queue.close()
    const fine = createTaskQueue()
    expect(await fine.healthCheck('jobs').check(new AbortController().signal)).toBe(true)
    await fine.close()
  })

  it('warns the process when no logger was given', async () => {
    const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const warnings = async (): Promise<string[]> => {
      throw new Error('no answer')
    }
    const queue = createTaskQueue({ engine: engineThatWarns(warnings) })
    await queue.close()
    expect(emitted).not.toHaveBeenCalled()
    const other = createTaskQueue({ engine: engineThatWarns(async () => ['careful']) })
    await other.close()
    expect(emitted).toHaveBeenCalledWith(expect.objectContaining({ message: 'careful' }))
  })

  it('waits for results by its own clock', async () => {
    const clock = new ManualClock()
    await using queue = createTaskQueue({ engine: memory({ clock }), clock })
    const job = await queue.enqueue(task, {})
    const error = job.result({ timeoutMs: 60_000 }).catch((thrown: unknown) => thrown)
    await clock.advance(60_000)
    expect(await error).toMatchObject({ code: 'DHARMA_TIMEOUT' })
    await expect(job.result({ timeoutMs: 0 })).rejects.toThrow('timeoutMs')
  })

  it('finds a job again by its id', async () => {
    await using queue = createTaskQueue()
    queue.work([task])
    const { id } = await queue.enqueue(task, {})
    expect(await queue.job(task, id).result()).toBe(1)
  })

  it.each([
    ['maxInputBytes', { maxInputBytes: 0 }],
    ['maxResultBytes', { maxResultBytes: 0 }],
    ['idempotencyTtlMs', { idempotencyTtlMs: 1 }],
    ['routes.a', { routes: { a: 'no queue' } }],
  ])('names the option %s when it is out of range', (option, options) => {
    expect(() => createTaskQueue(options)).toThrow(RangeError)
    expect(() => createTaskQueue(options)).toThrow(option)
  })

  it.each([
    ['delayMs', { delayMs: -1 }],
    ['runAt', { runAt: new Date(Number.NaN) }],
    ['together', { delayMs: 1, runAt: new Date() }],
    ['together', { deduplicate: 'a', idempotencyKey: 'b' }],
    ['expiresInMs', { expiresInMs: 0 }],
    ['deduplicate.ttlMs', { deduplicate: { key: 'a', ttlMs: 0 } }],
    ['queue', { queue: 'no queue' }],
  ])('refuses to enqueue with a wrong %s', async (option, options) => {
    await using queue = createTaskQueue()
    await expect(queue.enqueue(task, {}, options)).rejects.toThrow(option)
  })

  it('refuses chunks, rates and limits out of range', async () => {
    await using queue = createTaskQueue({ rateLimits: { default: { max: 0, perMs: 1 } } })
    await expect(queue.enqueueMany(task, [{}], { chunkSize: 0 })).rejects.toThrow('chunkSize')
    expect(() => queue.work([task])).toThrow('rateLimits.default.max')
    const wrong = [
      ['rateLimit.perMs', { rateLimit: { max: 1, perMs: 0 } }],
      ['softTimeoutMs', { timeoutMs: 10, softTimeoutMs: 10 }],
      ['upgrade', { version: 2, upgrade: { 2: () => ({}) } }],
      ['version', { version: 0 }],
      ['retry.maxCrashes', { retry: { maxCrashes: 0 } }],
    ] as const
    for (const [option, options] of wrong) {
      expect(() => defineTask({ name: 'wrong', input, run: () => 1, ...options })).toThrow(option)
    }
  })
})

describe('memory', () => {
  it.each(['resultTtlMs', 'deadLetterTtlMs', 'maxResults', 'maxDeadLetters'])(
    'names the option %s when it is out of range',
    (option) => {
      expect(() => memory({ [option]: 0 })).toThrow(option)
    },
  )
})
