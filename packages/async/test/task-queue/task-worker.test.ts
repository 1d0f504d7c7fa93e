import {
  createTaskQueue,
  defineTask,
  memory,
  type ClaimedJob,
  type QueueEngine,
} from '@dharma/async/task-queue'
import { constant } from '@dharma/async/resilience'
import { silentLogger, type Logger } from '@dharma/core'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'

const input = z.object({})

/** A memory engine of which some things are done otherwise, as a server that fails would. */
function engineWith(changes: Partial<QueueEngine>, clock?: ManualClock): QueueEngine {
  const engine = memory(clock === undefined ? {} : { clock })
  return Object.assign(engine, changes)
}

const claimed = (changes: Partial<ClaimedJob>): ClaimedJob => ({
  id: 'j',
  task: 'task',
  queue: 'default',
  input: '{}',
  attempt: 1,
  crashes: 0,
  isFirst: true,
  enqueuedAtMs: 0,
  meta: {},
  ...changes,
})

describe('TaskWorker', () => {
  it('counts runs by how they ended, and times them', async () => {
    const metrics = createMetrics()
    await using queue = createTaskQueue({ metrics })
    const flaky = defineTask({
      name: 'flaky',
      input,
      retry: { maxAttempts: 2, backoff: constant(1) },
      run: (_, { attempt }) => {
        if (attempt === 1) throw new Error('once')
      },
    })
    const worker = queue.work([flaky])
    await (await queue.enqueue(flaky, {})).result()
    await worker.close()
    const text = await metrics.expose()
    expect(text).toContain('runs_total{task="flaky",outcome="retried"} 1')
    expect(text).toContain('runs_total{task="flaky",outcome="completed"} 1')
    expect(text).toContain('run_seconds_count{task="flaky"} 2')
    expect(text).toContain('wait_seconds_count{task="flaky"} 1')
  })

  it('shows how many jobs its queues hold by state, until the queue is closed', async () => {
    const metrics = createMetrics()
    const clock = new ManualClock()
    const queue = createTaskQueue({ engine: memory({ clock }), clock, metrics })
    const task = defineTask({
      name: 'task',
      queue: 'images',
      input,
      run: (_, { signal }) => clock.sleep(60_000, signal),
    })
    await queue.enqueueMany(task, [{}, {}, {}])
    await queue.enqueue(task, {}, { delayMs: 8_000 })
    queue.work([task], { concurrency: 1, closeTimeoutMs: 0 })
    const jobs = async (): Promise<string[]> => {
      const lines = (await metrics.expose()).split('\n')
      return lines.filter((line) => /^dharma_task_queue_jobs.* [1-9]/.test(line))
    }
    const series = (state: string, value: number): string =>
      `dharma_task_queue_jobs{queue="images",state="${state}"} ${value}`
    await clock.advance(5_000)
    expect(await jobs()).toEqual([series('waiting', 2), series('delayed', 1), series('active', 1)])
    await clock.advance(5_000)
    expect(await jobs()).toEqual([series('waiting', 3), series('active', 1)])
    await queue.close()
    expect(await jobs()).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  it('tells when jobs could not be counted, and counts them at the next look', async () => {
    const metrics = createMetrics()
    const clock = new ManualClock()
    const engine = memory({ clock })
    const own = engine.counts.bind(engine)
    let isAway = true
    engine.counts = async (name) => {
      if (isAway) throw new Error('no answer')
      return own(name)
    }
    const told: string[] = []
    const logger: Logger = {
      ...silentLogger,
      warn: (_fields: object | string, message?: unknown) => void told.push(String(message)),
    }
    await using queue = createTaskQueue({ engine, clock, metrics, logger })
    const task = defineTask({ name: 'task', input, run: () => 1 })
    queue.work([task])
    await clock.advance(0)
    expect(told).toEqual(['no answer'])
    expect(await metrics.expose()).not.toContain('dharma_task_queue_jobs{')
    isAway = false
    await clock.advance(5_000)
    expect(await metrics.expose()).toContain('queue_jobs{queue="default",state="waiting"} 0')
  })

  it('goes on after the engine could not be reached', async () => {
    let failures = 0
    const engine = memory()
    const own = engine.claim.bind(engine)
    engine.claim = async (request, signal) => {
      if (failures++ < 2) throw new Error('unreachable')
      return own(request, signal)
    }
    await using queue = createTaskQueue({ engine, random: () => 0 })
    const task = defineTask({ name: 'task', input, run: () => 'done' })
    const errors: string[] = []
    queue.work([task], { onError: ({ message }) => errors.push(message) })
    expect(await (await queue.enqueue(task, {})).result()).toBe('done')
    expect(errors).toEqual(['unreachable', 'unreachable'])
  })

  it('starts a fetch loop anew that has gone silent', async () => {
    const clock = new ManualClock()
    let claims = 0
    const engine = engineWith({ leaseMs: 3_000 }, clock)
    const own = engine.claim.bind(engine)
    engine.claim = (request, signal) => {
      // The first one hangs for ever, as on a connection that was lost without a word.
      if (++claims === 1) return new Promise(() => {})
      return own(request, signal)
    }
    const queue = createTaskQueue({ engine, clock })
    const task = defineTask({ name: 'task', input, run: () => 'done' })
    const told: string[] = []
    queue.work([task], { onError: ({ message }) => told.push(message) })
    const job = await queue.enqueue(task, {})
    await clock.advance(14_000)
    expect(claims).toBe(1)
    await clock.advance(6_000)
    expect(await job.result()).toBe('done')
    expect(told[0]).toContain('silent for 15000 ms')
  })

  it('gives a run up whose lease was lost, and reports no outcome for it', async () => {
    const ended = vi.fn<() => void>()
    const lost = Promise.withResolvers<(job: ClaimedJob) => void>()
    let isGiven = false
    const engine = engineWith({
      complete: async () => (ended(), true),
      fail: async () => (ended(), true),
      claim: async ({ onLost }, signal) => {
        lost.resolve(onLost)
        if (!isGiven) {
          isGiven = true
          return [claimed({})]
        }
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve([]))
        })
      },
    })
    const started = Promise.withResolvers<AbortSignal>()
    const task = defineTask({
      name: 'task',
      input,
      run: (_, { signal }) => {
        started.resolve(signal)
        return new Promise<void>(() => {})
      },
    })
    const queue = createTaskQueue({ engine })
    const worker = queue.work([task])
    const signal = await started.promise
    const lose = await lost.promise
    lose(claimed({}))
    expect(signal.aborted).toBe(true)
    await expect.poll(() => worker.running).toBe(0)
    expect(ended).not.toHaveBeenCalled()
    await queue.close()
  })

  it('makes a dead letter of a job that has ended its workers too often, and runs suspects alone', async () => {
    const failed = Promise.withResolvers<string>()
    const released: string[] = []
    const finish = Promise.withResolvers<void>()
    let isGiven = false
    const engine = engineWith({
      complete: async () => true,
      fail: async (job, { kind }) => (failed.resolve(`${job.id} ${kind}`), true),
      release: async ({ id }) => void released.push(id),
      claim: async (_, signal) => {
        if (!isGiven) {
          isGiven = true
          return [
            claimed({ id: 'dead', crashes: 3, isFirst: false }),
            claimed({ id: 'suspect', crashes: 2, isFirst: false }),
          ]
        }
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve([]))
        })
      },
    })
    const task = defineTask({ name: 'task', input, run: () => finish.promise })
    const queue = createTaskQueue({ engine })
    queue.work([task])
    expect(await failed.promise).toBe('dead poison')
    expect(released).toEqual(['suspect'])
    finish.resolve()
    await queue.close()
  })

  it('finds a cancellation that was noted while its job had no worker', async () => {
    const failed = Promise.withResolvers<string>()
    let isGiven = false
    const engine = engineWith({
      fail: async (_job, { kind, reason }) => (failed.resolve(`${kind}: ${reason}`), true),
      claim: async (_, signal) => {
        if (!isGiven) {
          isGiven = true
          return [claimed({ attempt: 2, crashes: 1, isFirst: false })]
        }
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve([]))
        })
      },
    })
    await engine.state.put('cancel:default:j', 'stop it')
    const task = defineTask({ name: 'task', input, run: () => 1 })
    const queue = createTaskQueue({ engine })
    queue.work([task])
    expect(await failed.promise).toBe('cancelled: stop it')
    await queue.close()
  })

  it('tells when an outcome could not be stored, and lets the lease end', async () => {
    const engine = engineWith({
      complete: async () => {
        throw new Error('the server is away')
      },
    })
    const queue = createTaskQueue({ engine })
    const told = Promise.withResolvers<Error>()
    const task = defineTask({ name: 'task', input, run: () => 1 })
    queue.work([task], { onError: told.resolve, closeTimeoutMs: 0 })
    await queue.enqueue(task, {})
    expect((await told.promise).message).toBe('the server is away')
    expect(await queue.counts()).toMatchObject({ active: 1 })
    await queue.close()
  })

  it('gives each input of a chunk the whole time limit', async () => {
    const clock = new ManualClock()
    const engine = memory({ clock })
    await using queue = createTaskQueue({ engine, clock })
    const slow = defineTask({
      name: 'slow',
      input: z.number(),
      timeoutMs: 1_000,
      softTimeoutMs: 900,
      retry: { maxAttempts: 1 },
      run: async (ms) => {
        await clock.sleep(ms)
        return ms
      },
    })
    queue.work([slow])
    const jobs = await queue.enqueueMany(slow, [800, 800, 800, 5_000], { chunkSize: 4 })
    await clock.advance(2_400)
    await clock.advance(1_100)
    expect(await jobs[0]?.result()).toBe(800)
    await expect(jobs[3]?.result()).rejects.toThrow('did not end within 1000 ms')
  })

  it('stays between the ends of its range', async () => {
    const clock = new ManualClock()
    await using queue = createTaskQueue({ engine: memory({ clock }), clock })
    const task = defineTask({
      name: 'task',
      input: z.number(),
      run: () => clock.sleep(100),
    })
    const worker = queue.work([task], { concurrency: { min: 2, max: 8 }, closeTimeoutMs: 0 })
    expect(worker.concurrency).toBe(2)
    await queue.enqueueMany(
      task,
      Array.from({ length: 500 }, (_, index) => index),
    )
    await clock.advance(4_000)
    expect(worker.concurrency).toBeGreaterThanOrEqual(2)
    expect(worker.concurrency).toBeLessThanOrEqual(8)
    expect(worker.running).toBeLessThanOrEqual(8)
  })

  it('refuses two tasks of one name', async () => {
    await using queue = createTaskQueue()
    const task = defineTask({ name: 'task', input, run: () => 1 })
    expect(() => queue.work([task, task])).toThrow('the name task')
  })
})
