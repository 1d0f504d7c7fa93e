import { createTaskQueue, defineTask, memory } from '@dharma/async/task-queue'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { describeQueueContract } from './queue-contract.ts'

describeQueueContract('memory', () => ({
  createEngine: (options) => memory(options),
  isShared: false,
  scope: 'memory',
}))

const add = defineTask({
  name: 'add',
  input: z.object({ a: z.number(), b: z.number().default(1) }),
  run: ({ a, b }) => a + b,
})

describe('createTaskQueue', () => {
  it('types inputs as given and results as returned', async () => {
    await using queue = createTaskQueue()
    const job = await queue.enqueue(add, { a: 1 })
    expectTypeOf(job.result).returns.resolves.toEqualTypeOf<number>()
    expectTypeOf(queue.enqueue<{ a: number }, number>)
      .parameter(1)
      .toEqualTypeOf<{ a: number }>()
    // @ts-expect-error a string is no number
    await expect(queue.enqueue(add, { a: 'x' })).rejects.toThrow(/a: /)
  })

  it('refuses a wrong input with path and rule and without the value', async () => {
    await using queue = createTaskQueue()
    const wrong: unknown = { a: 'hunter2' }
    const refused = await queue
      .enqueue(add, wrong as { a: number })
      .catch((error: unknown) => error as Error)
    expect(refused).toMatchObject({ name: 'TaskInputError', code: 'DHARMA_TASK_INPUT' })
    expect(String(refused)).not.toContain('hunter2')
    expect(await queue.counts()).toMatchObject({ waiting: 0 })
  })

  it('stores none of many inputs when one of them is wrong', async () => {
    await using queue = createTaskQueue()
    const wrong: unknown = {}
    await expect(queue.enqueueMany(add, [{ a: 1 }, wrong as { a: number }])).rejects.toThrow(
      'input of task add',
    )
    expect(await queue.counts()).toMatchObject({ waiting: 0 })
  })

  it('refuses an input above the limit, naming both sizes', async () => {
    await using queue = createTaskQueue({ maxInputBytes: 10 })
    await expect(queue.enqueue(add, { a: 1_234_567 })).rejects.toThrow(
      'has 13 bytes, the limit is 10',
    )
  })

  it('refuses an input that JSON cannot hold', async () => {
    await using queue = createTaskQueue()
    const any = defineTask({ name: 'any', input: z.any(), run: () => 1 })
    await expect(queue.enqueue(any, 1n)).rejects.toMatchObject({ name: 'TaskPayloadError' })
    await expect(queue.enqueue(any, undefined)).rejects.toMatchObject({ name: 'TaskPayloadError' })
  })

  it('fails a job whose result JSON cannot hold', async () => {
    await using queue = createTaskQueue()
    const big = defineTask({
      name: 'big',
      input: z.object({}),
      retry: { maxAttempts: 1 },
      run: () => 1n,
    })
    queue.work([big])
    const job = await queue.enqueue(big, {})
    await expect(job.result()).rejects.toThrow(
      'has a value of type bigint at result, which JSON cannot carry',
    )
    const [letter] = await queue.admin.deadLetters()
    expect(letter?.failures).toMatchObject([{ errorName: 'TaskPayloadError' }])
  })

  it.each([
    ['concurrency', { concurrency: 0 }],
    ['closeTimeoutMs', { closeTimeoutMs: -1 }],
  ])('names the option %s when it is out of range', async (option, options) => {
    await using queue = createTaskQueue()
    expect(() => queue.work([add], options)).toThrow(RangeError)
    expect(() => queue.work([add], options)).toThrow(option)
  })

  it('refuses work once it is closed', async () => {
    const queue = createTaskQueue()
    await queue.close()
    await expect(queue.enqueue(add, { a: 1 })).rejects.toMatchObject({ code: 'DHARMA_CLOSED' })
    expect(() => queue.work([add])).toThrow('the task queue is closed')
  })

  it('rejects a result that was not there in time', async () => {
    await using queue = createTaskQueue()
    const job = await queue.enqueue(add, { a: 1 })
    await expect(job.result({ timeoutMs: 5 })).rejects.toMatchObject({ code: 'DHARMA_TIMEOUT' })
  })

  it('rejects a result with the reason of its signal', async () => {
    await using queue = createTaskQueue()
    const job = await queue.enqueue(add, { a: 1 })
    const abort = new AbortController()
    const result = job.result({ signal: abort.signal })
    abort.abort(new Error('no longer of interest'))
    await expect(result).rejects.toThrow('no longer of interest')
  })
})

describe('defineTask', () => {
  const input = z.object({})
  const run = (): void => {}

  it.each([
    ['name', { name: 'a b', input, run }],
    ['queue', { name: 'a', queue: '', input, run }],
    ['timeoutMs', { name: 'a', timeoutMs: 0, input, run }],
    ['retry.maxAttempts', { name: 'a', retry: { maxAttempts: 0 }, input, run }],
  ])('names the option %s when it is out of range', (option, options) => {
    expect(() => defineTask(options)).toThrow(RangeError)
    expect(() => defineTask(options)).toThrow(option)
  })
})

describe('memory', () => {
  it('forgets outcomes after their time to live', async () => {
    const clock = new ManualClock()
    await using queue = createTaskQueue({ engine: memory({ resultTtlMs: 1_000, clock }), clock })
    queue.work([add])
    const first = await queue.enqueue(add, { a: 1 })
    expect(await first.result()).toBe(2)
    await clock.advance(1_001)
    const second = await queue.enqueue(add, { a: 2 })
    expect(await second.result()).toBe(3)
    await expect(first.result()).rejects.toThrow('its outcome is no longer known')
  })

  it('keeps no more outcomes than its limit', async () => {
    await using queue = createTaskQueue({ engine: memory({ maxResults: 2 }) })
    queue.work([add])
    for (const a of [1, 2, 3]) await (await queue.enqueue(add, { a })).result()
    expect(await queue.counts()).toMatchObject({ completed: 2 })
  })

  it('runs a delayed job exactly when its time has come', async () => {
    const clock = new ManualClock()
    await using queue = createTaskQueue({ engine: memory({ clock }), clock })
    queue.work([add])
    await queue.enqueue(add, { a: 1 }, { delayMs: 500 })
    await clock.advance(499)
    expect(await queue.counts()).toMatchObject({ delayed: 1, completed: 0 })
    await clock.advance(1)
    expect(await queue.counts()).toMatchObject({ delayed: 0, completed: 1 })
  })

  it('leaves no timer behind when it is closed', async () => {
    const clock = new ManualClock()
    const queue = createTaskQueue({ engine: memory({ clock }), clock })
    await queue.enqueue(add, { a: 1 }, { delayMs: 500 })
    await queue.close()
    expect(clock.pendingTimers).toBe(0)
  })
})
