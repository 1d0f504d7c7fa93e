import { createTaskQueue, defineTask, TaskFailedError } from '@dharma/async/task-queue'
import { constant } from '@dharma/async/resilience'
import { silentLogger } from '@dharma/core'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { itHasFeatures } from './contract/feature-contract.ts'
import { itCanBeOperated } from './contract/operation-contract.ts'
import type { QueueContract } from './contract/sandbox.ts'
import { itKeepsState } from './contract/state-contract.ts'
import { itRunsWorkflows } from './contract/workflow-contract.ts'

/** What every engine has to do; run against each of them. */
export function describeQueueContract(engineName: string, make: () => QueueContract): void {
  const define = (scope: string, suffix: string) => `${scope}.${suffix}`

  describe(`the contract of queue engines, on ${engineName}`, () => {
    it('runs a task and returns its result', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const double = defineTask({
        name: define(scope, 'double'),
        queue: define(scope, 'q1'),
        input: z.object({ n: z.number() }),
        run: ({ n }) => ({ doubled: n * 2 }),
      })
      queue.work([double])
      const job = await queue.enqueue(double, { n: 21 })
      expect(await job.result({ timeoutMs: 10_000 })).toEqual({ doubled: 42 })
    })

    it('keeps results apart when many jobs run at once', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const echo = defineTask({
        name: define(scope, 'echo'),
        queue: define(scope, 'q2'),
        input: z.number(),
        run: (n) => n,
      })
      queue.work([echo], { concurrency: 16 })
      const numbers = Array.from({ length: 200 }, (_, index) => index)
      const jobs = await queue.enqueueMany(echo, numbers)
      const results = await Promise.all(jobs.map((job) => job.result({ timeoutMs: 10_000 })))
      expect(results).toEqual(numbers)
    })

    it('never runs more jobs at once than its concurrency', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      let running = 0
      let most = 0
      const busy = defineTask({
        name: define(scope, 'busy'),
        queue: define(scope, 'q3'),
        input: z.number(),
        run: async (n) => {
          most = Math.max(most, ++running)
          await new Promise((resolve) => setImmediate(resolve))
          running--
          return n
        },
      })
      queue.work([busy], { concurrency: 3 })
      const jobs = await queue.enqueueMany(
        busy,
        Array.from({ length: 50 }, (_, index) => index),
      )
      await Promise.all(jobs.map((job) => job.result({ timeoutMs: 10_000 })))
      expect(most).toBeLessThanOrEqual(3)
    })

    it('repeats a task that fails, and counts its attempts', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const flaky = defineTask({
        name: define(scope, 'flaky'),
        queue: define(scope, 'q4'),
        input: z.object({}),
        retry: { maxAttempts: 3, backoff: constant(5) },
        run: (_, { attempt }) => {
          if (attempt < 3) throw new Error(`attempt ${attempt}`)
          return attempt
        },
      })
      queue.work([flaky])
      const job = await queue.enqueue(flaky, {})
      expect(await job.result({ timeoutMs: 10_000 })).toBe(3)
    })

    it('reports the last failure once the attempts are used up', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const doomed = defineTask({
        name: define(scope, 'doomed'),
        queue: define(scope, 'q5'),
        input: z.object({}),
        retry: { maxAttempts: 2, backoff: constant(1) },
        run: (_, { attempt }): number => {
          throw new Error(`no luck at attempt ${attempt}`)
        },
      })
      queue.work([doomed])
      const job = await queue.enqueue(doomed, {})
      const failure = await job.result({ timeoutMs: 10_000 }).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(TaskFailedError)
      expect(failure).toMatchObject({ code: 'DHARMA_TASK_FAILED', reason: 'no luck at attempt 2' })
      expect(await queue.counts(doomed.queue)).toMatchObject({ failed: 1, waiting: 0, active: 0 })
    })

    it('does not repeat what retryIf refuses', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      let runs = 0
      const fatal = defineTask({
        name: define(scope, 'fatal'),
        queue: define(scope, 'q6'),
        input: z.object({}),
        retry: { maxAttempts: 5, backoff: constant(1), retryIf: () => false },
        run: (): void => {
          runs++
          throw new Error('fatal')
        },
      })
      queue.work([fatal])
      const job = await queue.enqueue(fatal, {})
      await expect(job.result({ timeoutMs: 10_000 })).rejects.toThrow('fatal')
      expect(runs).toBe(1)
    })

    it('runs jobs of high priority before those of low', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const order: string[] = []
      const note = defineTask({
        name: define(scope, 'note'),
        queue: define(scope, 'q7'),
        input: z.string(),
        run: (text) => void order.push(text),
      })
      const jobs = [
        await queue.enqueue(note, 'low', { priority: 'low' }),
        await queue.enqueue(note, 'normal'),
        await queue.enqueue(note, 'high', { priority: 'high' }),
      ]
      queue.work([note], { concurrency: 1 })
      await Promise.all(jobs.map((job) => job.result({ timeoutMs: 10_000 })))
      expect(order).toEqual(['high', 'normal', 'low'])
    })

    it('does not run a delayed job early', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const enqueuedMs = performance.now()
      const when = defineTask({
        name: define(scope, 'when'),
        queue: define(scope, 'q8'),
        input: z.object({}),
        run: () => performance.now() - enqueuedMs,
      })
      queue.work([when])
      const job = await queue.enqueue(when, {}, { delayMs: 120 })
      expect(await job.result({ timeoutMs: 10_000 })).toBeGreaterThanOrEqual(115)
    })

    it('stores one job for one deduplication key while it is unfinished', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const once = defineTask({
        name: define(scope, 'once'),
        queue: define(scope, 'q9'),
        input: z.number(),
        run: (n) => n,
      })
      const first = await queue.enqueue(once, 1, { deduplicate: 'key' })
      const second = await queue.enqueue(once, 2, { deduplicate: 'key' })
      expect(second.id).toBe(first.id)
      queue.work([once])
      expect(await second.result({ timeoutMs: 10_000 })).toBe(1)
      const third = await queue.enqueue(once, 3, { deduplicate: 'key' })
      expect(await third.result({ timeoutMs: 10_000 })).toBe(3)
    })

    it('hands back a job whose worker is closed before it ends', async () => {
      const { createEngine, scope } = make()
      const engine = createEngine()
      await using queue = createTaskQueue({ engine, logger: silentLogger })
      const started = Promise.withResolvers<void>()
      let runs = 0
      const slow = defineTask({
        name: define(scope, 'slow'),
        queue: define(scope, 'q10'),
        input: z.object({}),
        run: async (_, { attempt, signal }) => {
          if (++runs > 1) return attempt
          started.resolve()
          await new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')))
          })
          return attempt
        },
      })
      const worker = queue.work([slow], { closeTimeoutMs: 0 })
      const job = await queue.enqueue(slow, {})
      await started.promise
      await worker.close()
      queue.work([slow])
      expect(await job.result({ timeoutMs: 10_000 })).toBe(1)
      expect(runs).toBe(2)
    })

    it('ends a run at its time limit', async () => {
      const { createEngine, scope } = make()
      await using queue = createTaskQueue({ engine: createEngine(), logger: silentLogger })
      const hanging = defineTask({
        name: define(scope, 'hanging'),
        queue: define(scope, 'q11'),
        input: z.object({}),
        timeoutMs: 30,
        retry: { maxAttempts: 1 },
        run: () => new Promise<void>(() => {}),
      })
      queue.work([hanging])
      const job = await queue.enqueue(hanging, {})
      await expect(job.result({ timeoutMs: 10_000 })).rejects.toThrow('did not end within 30 ms')
    })

    itHasFeatures(make)
    itCanBeOperated(make)
    itRunsWorkflows(make)
    itKeepsState(make)
  })
}
