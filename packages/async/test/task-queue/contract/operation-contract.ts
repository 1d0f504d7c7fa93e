import { constant } from '@dharma/async/resilience'
import { createTaskQueue, TaskCancelledError } from '@dharma/async/task-queue'
import { silentLogger } from '@dharma/core'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { sandboxOf, SOON, type QueueContract } from './sandbox.ts'

/** What operators see and do; the same on every engine. */
export function itCanBeOperated(make: () => QueueContract): void {
  it('keeps the whole story of a dead letter, and replays it with all its attempts', async () => {
    await using box = sandboxOf(make())
    let isHealed = false
    const ill = box.define('ill', {
      input: z.object({ n: z.number() }),
      retry: { maxAttempts: 2, backoff: constant(1) },
      run: (_, { attempt }) => {
        if (!isHealed) throw new RangeError(`broken at ${attempt}`)
        return attempt
      },
    })
    box.queue.work([ill])
    const job = await box.queue.enqueue(ill, { n: 1 })
    await expect(job.result(SOON)).rejects.toThrow('broken at 2')
    const [letter] = await box.queue.admin.deadLetters(ill.queue)
    expect(letter).toMatchObject({ id: job.id, task: ill.name, input: { n: 1 }, state: 'failed' })
    expect(letter?.failures).toMatchObject([
      { attempt: 1, reason: 'broken at 1', errorName: 'RangeError', kind: 'error' },
      { attempt: 2, reason: 'broken at 2', errorName: 'RangeError', kind: 'error' },
    ])
    const [first] = letter?.failures ?? []
    expect(first?.stack).toContain('operation-contract')
    expect(first?.worker).toContain(String(process.pid))
    expect(first?.endedAtMs).toBeGreaterThanOrEqual(first?.startedAtMs ?? Infinity)
    isHealed = true
    expect(await box.queue.admin.replay(ill.queue, { when: ({ task }) => task === ill.name })).toBe(
      1,
    )
    expect(await job.result(SOON)).toBe(1)
    expect(await box.queue.admin.replay(ill.queue, { ids: [job.id, 'unknown'] })).toBe(0)
  })

  it('cancels a job that waits', async () => {
    await using box = sandboxOf(make())
    let runs = 0
    const waiting = box.define('waiting', { run: () => ++runs })
    const job = await box.queue.enqueue(waiting, {}, { delayMs: 60_000 })
    expect(await job.cancel('changed my mind')).toBe(true)
    await expect(job.result(SOON)).rejects.toThrow('changed my mind')
    await expect(job.result(SOON)).rejects.toBeInstanceOf(TaskCancelledError)
    expect(await box.queue.counts(waiting.queue)).toMatchObject({ delayed: 0, failed: 0 })
    expect(await job.cancel()).toBe(false)
  })

  it('cancels a job that runs for another queue object, within 100 ms', async () => {
    const contract = make()
    await using box = sandboxOf(contract)
    // A second engine, where the storage allows: as in another process.
    const engine = contract.isShared ? contract.createEngine() : box.engine
    const client = createTaskQueue({ engine, logger: silentLogger })
    const started = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<{ readonly atMs: number; readonly reason: unknown }>()
    const long = box.define('long', {
      run: async (_, { signal }) => {
        started.resolve()
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.resolve({ atMs: performance.now(), reason: signal.reason })
            resolve()
          })
        })
      },
    })
    box.queue.work([long])
    const job = await client.enqueue(long, {})
    await started.promise
    const cancelledMs = performance.now()
    expect(await job.cancel('enough')).toBe(true)
    const { atMs, reason } = await aborted.promise
    expect(reason).toBeInstanceOf(TaskCancelledError)
    expect(atMs - cancelledMs).toBeLessThan(100)
    await expect(job.result(SOON)).rejects.toThrow('enough')
    expect(await box.queue.counts(long.queue)).toMatchObject({ active: 0, failed: 0 })
    if (contract.isShared) await client.close()
  })

  it('takes the cancellation of one job for no other, be its id the same in another queue', async () => {
    const contract = make()
    await using box = sandboxOf(contract)
    const started = Promise.withResolvers<void>()
    const stopped = box.define('stopped', {
      queue: 'stopped',
      run: (_, { signal }) => {
        started.resolve()
        return new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    })
    const aborts: string[] = []
    const cancelled = Promise.withResolvers<void>()
    const other = box.define('other', {
      queue: 'other',
      retry: { backoff: constant(1) },
      run: async (_, { attempt, signal }) => {
        signal.addEventListener('abort', () => aborts.push('other'))
        await cancelled.promise
        // The run after this one looks whether it was cancelled meanwhile.
        if (attempt === 1) throw new Error('once')
        return 'done'
      },
    })
    const id = 'of-both-queues'
    const common = { id, input: '{}', priority: 'normal', delayMs: 0, meta: {} } as const
    const ids = await box.engine.enqueue(
      [stopped, other].map(({ name, queue, maxAttempts }) => {
        return { ...common, task: name, queue, maxAttempts, deduplicate: undefined }
      }),
    )
    expect(ids).toEqual([id, id])
    box.queue.work([stopped, other])
    await started.promise
    const [one, two] = [box.queue.job(stopped, id), box.queue.job(other, id)]
    expect(await one.cancel('stop this one')).toBe(true)
    await expect(one.result(SOON)).rejects.toMatchObject({ reason: 'stop this one' })
    cancelled.resolve()
    expect(await two.result(SOON)).toBe('done')
    expect(aborts).toEqual([])
  })

  it('hands out nothing of a paused queue until it is resumed', async () => {
    await using box = sandboxOf(make())
    const run = box.define('run', { run: () => 'run' })
    await box.queue.admin.pause(run.queue)
    box.queue.work([run])
    const job = await box.queue.enqueue(run, {})
    await expect(job.result({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'DHARMA_TIMEOUT' })
    expect(await box.queue.admin.stats(run.queue)).toMatchObject({ isPaused: true, waiting: 1 })
    await box.queue.admin.resume(run.queue)
    expect(await job.result(SOON)).toBe('run')
    expect(await box.queue.admin.stats(run.queue)).toMatchObject({ isPaused: false, waiting: 0 })
  })

  it('drains what waits and what is delayed', async () => {
    await using box = sandboxOf(make())
    const drained = box.define('drained', { run: () => 1 })
    await box.queue.enqueue(drained, {})
    await box.queue.enqueue(drained, {}, { delayMs: 60_000 })
    await box.queue.admin.drain(drained.queue)
    expect(await box.queue.counts(drained.queue)).toMatchObject({ waiting: 0, delayed: 0 })
  })

  it('tells subscribers what happens to jobs', async () => {
    await using box = sandboxOf(make())
    const types: string[] = []
    const failed = Promise.withResolvers<void>()
    const told = box.define('told', {
      input: z.boolean(),
      retry: { maxAttempts: 1 },
      run: (isFine) => {
        if (!isFine) throw new Error('not fine')
      },
    })
    await using resources = new AsyncDisposableStack()
    resources.use(
      await box.queue.admin.subscribe(told.queue, ({ type }) => {
        types.push(type)
        if (type === 'failed') failed.resolve()
      }),
    )
    box.queue.work([told])
    await (await box.queue.enqueue(told, true)).result(SOON)
    await box.queue.enqueue(told, false)
    await failed.promise
    expect(types).toEqual(['waiting', 'active', 'completed', 'waiting', 'active', 'failed'])
  })

  it('lists jobs by state, and a job by its id', async () => {
    await using box = sandboxOf(make())
    const listed = box.define('listed', { input: z.number(), run: (n) => n })
    const [low] = await box.queue.enqueueMany(listed, [1], { priority: 'low' })
    const [high] = await box.queue.enqueueMany(listed, [2], { priority: 'high' })
    await box.queue.enqueue(listed, 3, { delayMs: 60_000 })
    const waiting = await box.queue.admin.jobs(listed.queue, 'waiting')
    expect(waiting.map(({ id }) => id)).toEqual([high?.id, low?.id])
    expect(
      await box.queue.admin.jobs(listed.queue, 'waiting', { offset: 1, limit: 5 }),
    ).toHaveLength(1)
    expect(await box.queue.admin.jobs(listed.queue, 'delayed')).toMatchObject([{ input: 3 }])
    expect(await box.queue.admin.job(listed.queue, low?.id ?? '')).toMatchObject({
      state: 'waiting',
      attempts: 0,
      maxAttempts: 3,
      failures: [],
      progress: undefined,
    })
    expect(await box.queue.admin.job(listed.queue, 'no-such-job')).toBeUndefined()
    const { oldestWaitingMs } = await box.queue.admin.stats(listed.queue)
    expect(oldestWaitingMs).toBeLessThan(10_000)
  })

  it('lists the workers that are alive', async () => {
    await using box = sandboxOf(make())
    const task = box.define('alive', { run: () => 1 })
    const worker = box.queue.work([task], { concurrency: 7 })
    await (await box.queue.enqueue(task, {})).result(SOON)
    const own = (await box.queue.admin.workers()).filter(({ id }) => id === worker.id)
    expect(own).toMatchObject([{ pid: process.pid, queues: [task.queue], concurrency: 7 }])
    expect(await box.queue.admin.stats(task.queue)).toMatchObject({ workers: 1 })
    await worker.close()
    expect(box.queue.workers).toEqual([])
    expect((await box.queue.admin.workers()).map(({ id }) => id)).not.toContain(worker.id)
  })

  it('refuses the end of a run whose lease was given up', async () => {
    const { createEngine, scope } = make()
    await using engine = createEngine()
    const queue = `${scope}.fenced`
    const request = {
      queues: [{ name: queue, share: 1 }],
      count: 1,
      holdMs: () => 60_000,
      onLost: () => {},
      onAlive: () => {},
    }
    const { signal } = new AbortController()
    await engine.enqueue([
      {
        id: undefined,
        task: 't',
        queue,
        input: '1',
        priority: 'normal',
        delayMs: 0,
        deduplicate: undefined,
        maxAttempts: 9,
        meta: {},
      },
    ])
    const [first] = await engine.claim(request, signal)
    if (first === undefined) throw new Error('nothing was claimed')
    const failure = {
      kind: 'error',
      attempt: 1,
      reason: 'x',
      errorName: 'Error',
      startedAtMs: 0,
      endedAtMs: 0,
      worker: 'w',
    } as const
    expect(await engine.fail(first, failure, 0)).toBe(true)
    const [second] = await engine.claim(request, signal)
    expect(second?.attempt).toBe(2)
    expect(await engine.complete(first, '"stale"')).toBe(false)
    expect(second && (await engine.complete(second, '"fresh"'))).toBe(true)
    expect(await engine.outcome(queue, first.id, signal)).toEqual({
      state: 'completed',
      result: '"fresh"',
    })
  })
}
