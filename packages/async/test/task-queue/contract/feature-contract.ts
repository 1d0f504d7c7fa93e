import { constant } from '@dharma/async/resilience'
import { ManualClock } from '@dharma/core/testing'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { sandboxOf, SOON, type QueueContract } from './sandbox.ts'

/** How jobs are chosen, limited, repeated and kept; the same on every engine. */
export function itHasFeatures(make: () => QueueContract): void {
  it('refuses to start a job whose time is over, and says so', async () => {
    const clock = new ManualClock()
    await using box = sandboxOf(make(), { clock })
    const late = box.define('late', { run: () => 'run' })
    const job = await box.queue.enqueue(late, {}, { expiresInMs: 100 })
    await clock.advance(101)
    box.queue.work([late])
    await expect(job.result(SOON)).rejects.toMatchObject({ kind: 'expired' })
    const [dead] = await box.queue.admin.deadLetters(late.queue)
    expect(dead?.failures).toMatchObject([{ kind: 'expired', attempt: 1 }])
  })

  it('starts a job at its time', async () => {
    await using box = sandboxOf(make())
    const atMs = Date.now() + 150
    const when = box.define('when', { run: () => Date.now() })
    box.queue.work([when])
    const job = await box.queue.enqueue(when, {}, { runAt: new Date(atMs) })
    expect(await job.result(SOON)).toBeGreaterThanOrEqual(atMs - 5)
  })

  it('lets a job of low priority that has waited for long go before new ones of high', async () => {
    const clock = new ManualClock({ startMs: Date.now() })
    await using box = sandboxOf(make(), { clock })
    const order: string[] = []
    const note = box.define('note', {
      input: z.string(),
      run: (text) => void order.push(text),
    })
    const old = await box.queue.enqueue(note, 'old low', { priority: 'low' })
    await clock.advance(30 * 60_000)
    const fresh = [
      await box.queue.enqueue(note, 'normal'),
      await box.queue.enqueue(note, 'high', { priority: 'high' }),
    ]
    box.queue.work([note], { concurrency: 1 })
    await Promise.all([old, ...fresh].map((job) => job.result(SOON)))
    expect(order).toEqual(['old low', 'high', 'normal'])
  })

  it('takes from an earlier queue first when the order is strict', async () => {
    await using box = sandboxOf(make())
    const order: string[] = []
    const run = (text: string): void => void order.push(text)
    const minor = box.define('minor', { queue: 'minor', input: z.string(), run })
    const major = box.define('major', { queue: 'major', input: z.string(), run })
    const jobs = [
      ...(await box.queue.enqueueMany(minor, ['c', 'd'])),
      ...(await box.queue.enqueueMany(major, ['a', 'b'])),
    ]
    box.queue.work([minor, major], {
      concurrency: 1,
      queues: [major.queue, minor.queue],
      order: 'strict',
    })
    await Promise.all(jobs.map((job) => job.result(SOON)))
    expect(order).toEqual(['a', 'b', 'c', 'd'])
  })

  it('shares slots by weight while all queues have jobs, and starves none', async () => {
    await using box = sandboxOf(make())
    const order: string[] = []
    const run = (text: string): void => void order.push(text)
    const rare = box.define('rare', { queue: 'rare', input: z.string(), run })
    const often = box.define('often', { queue: 'often', input: z.string(), run })
    const jobs = [
      ...(await box.queue.enqueueMany(
        often,
        Array.from({ length: 9 }, () => 'often'),
      )),
      ...(await box.queue.enqueueMany(
        rare,
        Array.from({ length: 9 }, () => 'rare'),
      )),
    ]
    box.queue.work([rare, often], {
      concurrency: 1,
      order: { weights: { [often.queue]: 3, [rare.queue]: 1 } },
    })
    await Promise.all(jobs.map((job) => job.result(SOON)))
    expect(order.slice(0, 8).filter((name) => name === 'rare')).toHaveLength(2)
  })

  it('waits for one queue without holding back another', async () => {
    await using box = sandboxOf(make())
    const idle = box.define('idle', { queue: 'idle', run: () => 'idle' })
    const busy = box.define('busy', { queue: 'busy', run: () => 'busy' })
    box.queue.work([idle, busy], { concurrency: 1 })
    for (let round = 0; round < 3; round++) {
      expect(await (await box.queue.enqueue(busy, {})).result(SOON)).toBe('busy')
    }
    expect(await (await box.queue.enqueue(idle, {})).result(SOON)).toBe('idle')
  })

  it('sends tasks where its routes say', async () => {
    const contract = make()
    await using box = sandboxOf(contract, {
      routes: { [`${contract.scope}.routed*`]: `${contract.scope}.elsewhere` },
    })
    const routed = box.define('routed', { run: () => 'there' })
    const job = await box.queue.enqueue(routed, {})
    expect(job.queue).toBe(`${contract.scope}.elsewhere`)
    box.queue.work([routed])
    expect(await job.result(SOON)).toBe('there')
  })

  it('starts no more jobs of a queue than its rate allows', async () => {
    const contract = make()
    await using box = sandboxOf(contract, {
      rateLimits: { [`${contract.scope}.limited`]: { max: 3, perMs: 400 } },
    })
    const starts: number[] = []
    const limited = box.define('limited', {
      queue: 'limited',
      input: z.number(),
      run: () => void starts.push(performance.now()),
    })
    box.queue.work([limited], { concurrency: 8 })
    const jobs = await box.queue.enqueueMany(limited, [1, 2, 3, 4, 5, 6])
    await Promise.all(jobs.map((job) => job.result(SOON)))
    expect(starts).toHaveLength(6)
    // Three at once, then one each third of the time.
    expect((starts[5] ?? 0) - (starts[0] ?? 0)).toBeGreaterThanOrEqual(380)
  })

  it('starts no more jobs of a task than its rate allows, and others go on', async () => {
    await using box = sandboxOf(make())
    const slow = box.define('slow', {
      input: z.number(),
      rateLimit: { max: 1, perMs: 150 },
      run: () => performance.now(),
    })
    const free = box.define('free', { run: () => 'free' })
    box.queue.work([slow, free])
    const limited = await box.queue.enqueueMany(slow, [1, 2, 3])
    expect(await (await box.queue.enqueue(free, {})).result(SOON)).toBe('free')
    const starts = await Promise.all(limited.map((job) => job.result(SOON)))
    expect(Math.max(...starts) - Math.min(...starts)).toBeGreaterThanOrEqual(280)
  })

  it('keeps a deduplication key for the time it was given', async () => {
    await using box = sandboxOf(make())
    const once = box.define('once', { input: z.number(), run: (n) => n })
    box.queue.work([once])
    const options = { deduplicate: { key: 'throttled', ttlMs: 60_000 } }
    const first = await box.queue.enqueue(once, 1, options)
    expect(await first.result(SOON)).toBe(1)
    const second = await box.queue.enqueue(once, 2, options)
    expect(second.id).toBe(first.id)
    expect(await second.result(SOON)).toBe(1)
  })

  it('runs a job with an idempotency key once, and gives its result again', async () => {
    await using box = sandboxOf(make())
    let runs = 0
    const charge = box.define('charge', { input: z.number(), run: (n) => ({ n, run: ++runs }) })
    box.queue.work([charge])
    const first = await box.queue.enqueue(charge, 1, { idempotencyKey: 'order:1' })
    expect(await first.result(SOON)).toEqual({ n: 1, run: 1 })
    const again = await box.queue.enqueue(charge, 1, { idempotencyKey: 'order:1' })
    expect(await again.result(SOON)).toEqual({ n: 1, run: 1 })
    const other = await box.queue.enqueue(charge, 2, { idempotencyKey: 'order:2' })
    expect(await other.result(SOON)).toEqual({ n: 2, run: 2 })
  })

  it('does a step of a task once over all its runs', async () => {
    await using box = sandboxOf(make())
    let steps = 0
    const stepwise = box.define('stepwise', {
      retry: { backoff: constant(1) },
      run: async (_, context) => {
        const step = await context.once('pay', () => ++steps)
        if (context.attempt === 1) throw new Error('after the step')
        return step
      },
    })
    box.queue.work([stepwise])
    expect(await (await box.queue.enqueue(stepwise, {})).result(SOON)).toBe(1)
    expect(steps).toBe(1)
  })

  it('shows the progress that a task reports', async () => {
    await using box = sandboxOf(make())
    const seen = Promise.withResolvers<unknown>()
    const working = box.define('working', {
      run: async (_, context) => {
        await context.progress({ done: 3 })
        return 'done'
      },
    })
    await using resources = new AsyncDisposableStack()
    resources.use(
      await box.queue.admin.subscribe(working.queue, (event) => {
        if (event.type === 'progress') seen.resolve(event.progress)
      }),
    )
    box.queue.work([working])
    const job = await box.queue.enqueue(working, {})
    await job.result(SOON)
    expect(await seen.promise).toEqual({ done: 3 })
    expect((await job.info())?.progress).toEqual({ done: 3 })
  })

  it('aborts the signal at the soft limit and lets the run end by itself', async () => {
    await using box = sandboxOf(make())
    const polite = box.define('polite', {
      timeoutMs: 5_000,
      softTimeoutMs: 30,
      run: (_, { signal }) =>
        new Promise<string>((resolve) => {
          signal.addEventListener('abort', () => resolve((signal.reason as Error).name))
        }),
    })
    box.queue.work([polite])
    const job = await box.queue.enqueue(polite, {})
    expect(await job.result(SOON)).toBe('TaskTimeLimitError')
  })

  it('runs jobs of an earlier version with their inputs made new', async () => {
    await using box = sandboxOf(make())
    const first = box.define('versioned', { input: z.string(), run: (text) => text })
    const second = box.define('versioned', {
      version: 2,
      input: z.object({ text: z.string() }),
      upgrade: { 1: (text) => ({ text }) },
      run: ({ text }) => `new ${text}`,
    })
    const old = await box.queue.enqueue(first, 'a')
    const fresh = await box.queue.enqueue(second, { text: 'b' })
    box.queue.work([second])
    expect(await old.result(SOON)).toBe('new a')
    expect(await fresh.result(SOON)).toBe('new b')
  })

  it('leaves jobs of a version that a worker does not know to others', async () => {
    await using box = sandboxOf(make())
    const first = box.define('rolling', { run: () => 'old' })
    const second = box.define('rolling', { version: 2, run: () => 'new' })
    const told = Promise.withResolvers<Error>()
    box.queue.work([first], { onError: told.resolve })
    const job = await box.queue.enqueue(second, {})
    expect((await told.promise).message).toContain('has no task')
    box.queue.work([second])
    expect(await job.result(SOON)).toBe('new')
  })

  it('tells backoff which run failed and how long the pause before it was', async () => {
    await using box = sandboxOf(make())
    const asked: number[][] = []
    const backoff = (attempt: number, previousDelayMs: number): number => {
      asked.push([attempt, previousDelayMs])
      return attempt * 3
    }
    const failing = box.define('failing', {
      retry: { maxAttempts: 4, backoff },
      run: () => {
        throw new Error('again')
      },
    })
    box.queue.work([failing])
    const job = await box.queue.enqueue(failing, {})
    await expect(job.result(SOON)).rejects.toThrow('again')
    expect(asked).toEqual([
      [1, 0],
      [2, 3],
      [3, 6],
    ])
    const { failures = [] } = (await job.info()) ?? {}
    expect(failures.map(({ retryDelayMs }) => retryDelayMs)).toEqual([3, 6, 9, undefined])
    await box.queue.admin.replay(failing.queue, { ids: [job.id] })
    await expect(job.result(SOON)).rejects.toThrow('again')
    expect(asked.slice(3)).toEqual(asked.slice(0, 3))
  })

  it('does not repeat a run with a wrong input', async () => {
    await using box = sandboxOf(make())
    const loose = box.define('strict', { input: z.any(), run: () => 1 })
    const strict = box.define('strict', { input: z.object({ n: z.number() }), run: () => 1 })
    const job = await box.queue.enqueue(loose, { n: 'x' })
    box.queue.work([strict])
    await expect(job.result(SOON)).rejects.toThrow('n: ')
    expect((await job.info())?.failures).toHaveLength(1)
  })

  it('gives every input of a chunk its own result', async () => {
    await using box = sandboxOf(make())
    const double = box.define('double', { input: z.number(), run: (n) => n * 2 })
    box.queue.work([double])
    const jobs = await box.queue.enqueueMany(double, [1, 2, 3, 4, 5], { chunkSize: 2 })
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(3)
    expect(await Promise.all(jobs.map((job) => job.result(SOON)))).toEqual([2, 4, 6, 8, 10])
  })

  it('repeats only the inputs of a chunk that failed', async () => {
    await using box = sandboxOf(make())
    const runs: number[] = []
    const picky = box.define('picky', {
      input: z.number(),
      retry: { maxAttempts: 2, backoff: constant(1) },
      run: (n) => {
        runs.push(n)
        if (n === 2) throw new Error('two')
        return n
      },
    })
    box.queue.work([picky])
    const [one, two, three] = await box.queue.enqueueMany(picky, [1, 2, 3], { chunkSize: 3 })
    expect(await one?.result(SOON)).toBe(1)
    await expect(two?.result(SOON)).rejects.toThrow('two')
    expect(await three?.result(SOON)).toBe(3)
    expect(runs).toEqual([1, 2, 3, 2])
  })
}
