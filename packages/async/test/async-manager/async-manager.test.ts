import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import {
  AsyncManager,
  BackgroundFullError,
  createAsyncManager,
  type AsyncManagerOptions,
} from '@dharma/async/async-manager'
import { constant, RetryBudget } from '@dharma/async/resilience'
import { ClosedError, TimeoutError } from '@dharma/core'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { rejectionOf } from '../resilience/rejection-of.ts'

type Report = (error: unknown, taskName: string) => void

function setUp(options: AsyncManagerOptions = {}): {
  clock: ManualClock
  manager: AsyncManager
  reported: [unknown, string][]
} {
  const clock = new ManualClock()
  const reported: [unknown, string][] = []
  const onBackgroundError: Report = (...report) => void reported.push(report)
  const manager = createAsyncManager({ clock, onBackgroundError, ...options })
  return { clock, manager, reported }
}

const never = (): Promise<never> => Promise.withResolvers<never>().promise

describe('AsyncManager', () => {
  test('maps, streams, retries and times out with its own clock', async () => {
    const { clock, manager } = setUp()
    expect(await manager.mapBatch([1, 2], async (item) => item * 2)).toEqual([2, 4])
    expect(await Array.fromAsync(manager.mapStream([1, 2], (item) => item))).toEqual([1, 2])
    const retried = manager.retry(
      ({ attempt }) => {
        if (attempt === 1) throw new Error('first')
        return attempt
      },
      { backoff: constant(1_000) },
    )
    const failed = rejectionOf(manager.withTimeout(never, 500))
    await clock.advance(1_000)
    expect(await retried).toBe(2)
    expect(await failed).toBeInstanceOf(TimeoutError)
  })

  test('an endless async source is read no further than there are slots, until the signal aborts', async () => {
    const { manager } = setUp()
    const closed = Promise.withResolvers<void>()
    let read = 0
    async function* endless(): AsyncGenerator<number> {
      try {
        for (;;) yield (read += 1)
      } finally {
        closed.resolve()
      }
    }
    const controller = new AbortController()
    const full = Promise.withResolvers<void>()
    const aborted: unknown[] = []
    let begun = 0
    const hang = ({ signal }: { readonly signal: AbortSignal }): Promise<never> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason)
          reject(signal.reason as Error)
        })
      })
    const result = manager.mapBatch(
      endless(),
      (item, context) => {
        begun += 1
        if (begun === 1_004) full.resolve()
        return item > 1_000 ? hang(context) : item
      },
      { concurrency: 4, signal: controller.signal },
    )
    await full.promise
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(result).rejects.toBe(reason)
    await closed.promise
    expect([read, begun]).toEqual([1_004, 1_004])
    expect(aborted).toEqual([reason, reason, reason, reason])
  })

  test('retries, hedges and policies share one budget', async () => {
    const clock = new ManualClock()
    const retryBudget = new RetryBudget({ clock, ratio: 0, minRetriesPerSecond: 0, maxSaved: 2 })
    const { manager } = setUp({ clock, retryBudget })
    const fail = (): Promise<never> => Promise.reject(new Error('down'))
    const policy = manager.policy({ retry: { maxAttempts: 9, backoff: constant(0) } })
    const options = { maxAttempts: 9, backoff: constant(0) }
    const all = [manager.retry(fail, options), policy.execute(fail), manager.retry(fail, options)]
    const failed = all.map((call) => rejectionOf(call))
    await clock.advance(10)
    const budget = { end: 'budget' }
    expect(await Promise.all(failed)).toMatchObject([budget, budget, budget])
    const fn = vi.fn<() => Promise<void>>(() => clock.sleep(100))
    const hedged = manager.hedge(fn, { after: 10 })
    await clock.advance(100)
    await hedged
    expect(fn).toHaveBeenCalledOnce()
    expect(manager.retryBudget.stats).toMatchObject({ retries: 2, calls: 4 })
  })

  test('a policy without retries is made too', async () => {
    const { manager } = setUp()
    expect(await manager.policy({ bulkhead: { limit: 1 } }).execute(() => 1)).toBe(1)
  })

  test('what it does is counted', async () => {
    const metrics = createMetrics()
    const { clock, manager } = setUp({ metrics, name: 'jobs' })
    const onHedge = vi.fn<(attempt: number) => void>()
    const onRetry = vi.fn<() => void>()
    const fails = ({ attempt }: { attempt: number }): number => {
      if (attempt === 1) throw new Error('first')
      return attempt
    }
    const retried = manager.retry(fails, { backoff: constant(1), onRetry })
    const hedged = manager.hedge(() => clock.sleep(100), { after: 10, onHedge })
    manager.background(() => clock.sleep(1_000))
    manager.background(() => Promise.reject(new Error('down')))
    await clock.advance(200)
    await Promise.all([retried, hedged])
    const read = (name: string): unknown => metrics.read(name)?.series
    const one = [{ labelValues: ['jobs'], value: 1 }]
    expect(read('dharma_async_manager_retries_total')).toEqual(one)
    expect(read('dharma_async_hedges_total')).toEqual(one)
    expect(read('dharma_async_background_errors_total')).toEqual(one)
    expect(await metrics.expose()).toContain('dharma_async_background_tasks{manager="jobs"} 1')
    expect(onHedge).toHaveBeenCalledOnce()
    expect(onRetry).toHaveBeenCalledOnce()
    const closed = manager.close()
    await clock.advance(1_000)
    await closed
  })

  test('wrong options name option, limit and value', () => {
    expect(() => new AsyncManager({ backgroundConcurrency: 0 })).toThrow(
      new RangeError('backgroundConcurrency must be a whole number of at least 1, got 0'),
    )
    expect(() => new AsyncManager({ maxBackgroundTasks: 1.5 })).toThrow(
      new RangeError('maxBackgroundTasks must be a whole number of at least 1, got 1.5'),
    )
  })
})

describe('background tasks', () => {
  test('a success calls onSuccess and onSettled, in this order', async () => {
    const { manager } = setUp()
    const called: string[] = []
    const task = manager.background(async () => 7, {
      name: 'mail',
      onSuccess: (value) => called.push(`success ${value}`),
      onError: () => called.push('error'),
      onSettled: ({ status }) => called.push(status),
    })
    expect(task.name).toBe('mail')
    expect(await task.settled).toEqual({ status: 'fulfilled', value: 7 })
    expect(called).toEqual(['success 7', 'fulfilled'])
  })

  test('an error goes to onError and is no unhandled rejection', async () => {
    const { manager, reported } = setUp()
    const onError = vi.fn<(error: unknown) => void>()
    const task = manager.background(() => Promise.reject(new Error('down')), { onError })
    expect(await task.settled).toEqual({ status: 'rejected', reason: new Error('down') })
    expect(onError).toHaveBeenCalledExactlyOnceWith(new Error('down'))
    expect(reported).toEqual([])
  })

  test('an error that no callback takes, and one of a callback, are reported', async () => {
    const { manager, reported } = setUp()
    const fail = (text: string) => (): never => {
      throw new Error(text)
    }
    await manager.background(fail('at once'), { name: 'a' }).settled
    await manager.background(() => 1, { name: 'b', onSuccess: fail('callback') }).settled
    await manager.background(fail('own'), { name: 'c', onError: fail('handler') }).settled
    await manager.background(() => 1, { name: 'd', onSettled: fail('settled') }).settled
    expect(reported).toEqual([
      [new Error('at once'), 'a'],
      [new Error('callback'), 'b'],
      [new Error('handler'), 'c'],
      [new Error('settled'), 'd'],
    ])
  })

  test('without a listener an error is a warning, and so is what the listener throws', async () => {
    const manager = new AsyncManager()
    const warned = once(process, 'warning') as Promise<[Error]>
    manager.background(() => Promise.reject(new Error('down')), { name: 'mail' })
    expect((await warned)[0].message).toBe('background mail failed: down')

    const throwing = new AsyncManager({
      onBackgroundError: () => {
        throw new Error('listener')
      },
    })
    const again = once(process, 'warning') as Promise<[Error]>
    await throwing.background(() => Promise.reject(new Error('down'))).settled
    expect((await again)[0].message).toBe('background task failed: listener')
  })

  test('only so many run at once, and only so many are kept', async () => {
    const { clock, manager } = setUp({ backgroundConcurrency: 2, maxBackgroundTasks: 3 })
    let running = 0
    let most = 0
    const work = async (): Promise<void> => {
      running += 1
      most = Math.max(most, running)
      await clock.sleep(100)
      running -= 1
    }
    const tasks = [1, 2, 3].map(() => manager.background(work))
    expect(() => manager.background(work)).toThrow(new BackgroundFullError(3))
    await clock.advance(200)
    await Promise.all(tasks.map(({ settled }) => settled))
    expect(most).toBe(2)
    await setImmediate()
    expect(await manager.background(() => 1).settled).toEqual({ status: 'fulfilled', value: 1 })
  })

  test('a task that takes too long fails, its wait for a slot not counted', async () => {
    const { clock, manager, reported } = setUp({ backgroundConcurrency: 1 })
    const first = manager.background(() => clock.sleep(90), { timeoutMs: 100 })
    const second = manager.background(() => clock.sleep(90), { timeoutMs: 100 })
    const third = manager.background(never, { timeoutMs: 100, name: 'slow' })
    await clock.advance(280)
    expect((await first.settled).status).toBe('fulfilled')
    expect((await second.settled).status).toBe('fulfilled')
    expect((await third.settled).status).toBe('rejected')
    expect(reported).toEqual([[new TimeoutError('slow', 100), 'slow']])
    expect(() => manager.background(never, { timeoutMs: 0 })).toThrow(
      new RangeError('timeoutMs must be above 0, got 0'),
    )
  })

  test('a cancelled task is aborted, and one that waits for its slot is never begun', async () => {
    const { manager } = setUp({ backgroundConcurrency: 1 })
    let signal: AbortSignal | undefined
    const running = manager.background((context) => {
      signal = context.signal
      return never()
    })
    const fn = vi.fn<() => number>()
    const waiting = manager.background(fn)
    await setImmediate()
    waiting.cancel(new Error('not needed'))
    running.cancel(new Error('stop'))
    expect(await waiting.settled).toMatchObject({ reason: new Error('not needed') })
    expect(await running.settled).toMatchObject({ reason: new Error('stop') })
    await setImmediate()
    expect(signal?.aborted).toBe(true)
    expect(fn).not.toHaveBeenCalled()
  })

  test('close waits for tasks and their callbacks, and takes no new ones', async () => {
    const { clock, manager } = setUp({ name: 'jobs' })
    const called: string[] = []
    manager.background(() => clock.sleep(100), {
      onSettled: async () => {
        await clock.sleep(100)
        called.push('settled')
      },
    })
    const closing = manager.close()
    expect(() => manager.background(() => 1)).toThrow(new ClosedError('jobs'))
    await clock.advance(200)
    expect(await closing).toEqual({ finished: 1, aborted: 0 })
    expect(called).toEqual(['settled'])
    expect(await manager.close()).toEqual({ finished: 1, aborted: 0 })
  })

  test('at the deadline what is left is aborted and close settles, obeyed or not', async () => {
    const { clock, manager, reported } = setUp({ name: 'jobs' })
    manager.background(() => clock.sleep(50))
    const deaf = manager.background(never, { name: 'deaf' })
    const closing = manager.close({ deadlineMs: 100 })
    await clock.advance(105)
    expect(await closing).toEqual({ finished: 1, aborted: 1 })
    expect(await deaf.settled).toEqual({ status: 'rejected', reason: new ClosedError('jobs') })
    expect(reported).toEqual([[new ClosedError('jobs'), 'deaf']])
  })

  test('a deadline of 0 aborts at once', async () => {
    const { manager } = setUp()
    manager.background(never)
    expect(await manager.close({ deadlineMs: 0 })).toEqual({ finished: 0, aborted: 1 })
  })

  test('leaving an await using block drains', async () => {
    let wasDone = false
    {
      await using manager = createAsyncManager()
      manager.background(async () => {
        await setImmediate()
        wasDone = true
      })
    }
    expect(wasDone).toBe(true)
  })
})
