import {
  constant,
  exponential,
  retry,
  RetryBudget,
  RetryError,
  type AttemptContext,
  type RetryEvent,
} from '@dharma/async/resilience'
import { TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { rejectionOf } from './rejection-of.ts'

/** Fails a number of times, then gives the number of the attempt. */
function failing(times: number): (context: AttemptContext) => Promise<number> {
  return async ({ attempt }) => {
    if (attempt <= times) throw new Error(`attempt ${attempt}`)
    return attempt
  }
}

/** Its error, once time has been moved on far enough. */
async function errorOf(result: Promise<unknown>, clock: ManualClock): Promise<RetryError> {
  const [settled] = await Promise.all([Promise.allSettled([result]), clock.advance(1_000_000)])
  const [{ status }] = settled
  if (settled[0].status === 'fulfilled') throw new Error(`it was ${status}`)
  return settled[0].reason as RetryError
}

describe('retry', () => {
  test('a success is given back without a wait', async () => {
    expect(await retry(failing(0))).toBe(1)
    expect(await retry(() => 7)).toBe(7)
  })

  test('a failure is retried after its backoff', async () => {
    const clock = new ManualClock()
    const events: RetryEvent[] = []
    const onRetry = (event: RetryEvent): void => void events.push(event)
    const backoff = exponential({ baseMs: 100, jitter: 'none' })
    const result = retry(failing(2), { clock, backoff, onRetry })
    await clock.advance(299)
    expect(events.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
      [1, 100],
      [2, 200],
    ])
    await clock.advance(1)
    expect(await result).toBe(3)
    expect(clock.pendingTimers).toBe(0)
  })

  test('the randomness given makes the jitter', async () => {
    const clock = new ManualClock()
    const delays: number[] = []
    const onRetry = ({ delayMs }: RetryEvent): void => void delays.push(delayMs)
    const result = retry(failing(2), { clock, random: () => 0.5, onRetry })
    await clock.advance(1_000)
    await result
    expect(delays).toEqual([50, 100])
  })

  test('when attempts run out the error tells how many and keeps the last as its cause', async () => {
    const clock = new ManualClock()
    const error = await errorOf(retry(failing(9), { clock, maxAttempts: 4 }), clock)
    expect(error).toBeInstanceOf(RetryError)
    expect(error).toMatchObject({
      code: 'DHARMA_RETRIES_EXHAUSTED',
      attempts: 4,
      end: 'attempts',
      cause: new Error('attempt 4'),
      message: 'gave up after 4 attempts: no attempts left',
    })
    const single = await errorOf(retry(failing(9), { maxAttempts: 1 }), clock)
    expect(single.message).toBe('gave up after 1 attempt: no attempts left')
  })

  test('an error that is of no use to retry is given back as it is', async () => {
    const fn = vi.fn<(context: AttemptContext) => Promise<number>>(failing(9))
    const retryIf = vi.fn<(error: unknown, attempt: number) => boolean>(() => false)
    await expect(retry(fn, { retryIf })).rejects.toEqual(new Error('attempt 1'))
    expect(fn).toHaveBeenCalledOnce()
    expect(retryIf).toHaveBeenCalledWith(new Error('attempt 1'), 1)
  })

  test('an error that says when to come back is not retried before', async () => {
    const clock = new ManualClock()
    const delays: number[] = []
    const fn = async ({ attempt }: AttemptContext): Promise<number> => {
      if (attempt === 1) throw Object.assign(new Error('busy'), { retryAfterMs: 5_000 })
      if (attempt === 2) throw Object.assign(new Error('busy'), { retryAfterMs: 'soon' })
      return attempt
    }
    const onRetry = ({ delayMs }: RetryEvent): void => void delays.push(delayMs)
    const result = retry(fn, { clock, backoff: constant(10), onRetry })
    await clock.advance(6_000)
    expect(await result).toBe(3)
    expect(delays).toEqual([5_000, 10])
  })

  test('a thrown non-error is the cause too', async () => {
    const throwText = (): never => {
      throw 'text'
    }
    await expect(retry(throwText, { maxAttempts: 1 })).rejects.toMatchObject({ cause: 'text' })
  })

  test('a spent budget ends the retries', async () => {
    const clock = new ManualClock()
    const budget = new RetryBudget({ clock, minRetriesPerSecond: 0, maxSaved: 1 })
    const error = await errorOf(retry(failing(9), { clock, budget, maxAttempts: 9 }), clock)
    expect(error).toMatchObject({ attempts: 2, end: 'budget', cause: new Error('attempt 2') })
  })

  test('in an outage a shared budget keeps the load near the number of calls', async () => {
    const clock = new ManualClock()
    const budget = new RetryBudget({ clock, minRetriesPerSecond: 0, maxSaved: 10 })
    let attempts = 0
    const fail = (): never => {
      attempts += 1
      throw new Error('down')
    }
    const options = { clock, budget, maxAttempts: 5, backoff: constant(0) }
    const calls = Array.from({ length: 1_000 }, () => retry(fail, options))
    const settled = Promise.allSettled(calls)
    await clock.advance(1_000)
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true)
    expect(attempts).toBeLessThanOrEqual(1_110)
    expect(attempts).toBeGreaterThan(1_000)
  })

  test('a wait that would pass the deadline is not begun', async () => {
    const clock = new ManualClock()
    const options = { clock, backoff: constant(100), deadlineMs: 150, maxAttempts: 9 }
    const result = retry(failing(9), options)
    const failed = rejectionOf(result)
    await clock.advance(100)
    expect(await failed).toMatchObject({ attempts: 2, end: 'deadline' })
    expect(clock.monotonicMs()).toBe(100)
  })

  test('an attempt that is in progress at the deadline is aborted and given up', async () => {
    const clock = new ManualClock()
    let signal: AbortSignal | undefined
    const hang = (context: AttemptContext): Promise<never> => {
      signal = context.signal
      return Promise.withResolvers<never>().promise
    }
    const failed = rejectionOf(retry(hang, { clock, deadlineMs: 150 }))
    await clock.advance(150)
    expect(await failed).toMatchObject({
      attempts: 1,
      end: 'deadline',
      cause: { code: 'DHARMA_TIMEOUT', timeoutMs: 150 },
    })
    expect(signal?.aborted).toBe(true)
  })

  test('a timeout of the attempt itself is not taken for the deadline', async () => {
    const clock = new ManualClock()
    const fail = (): never => {
      throw new TimeoutError('inner', 5)
    }
    const error = await errorOf(retry(fail, { clock, deadlineMs: 60_000 }), clock)
    expect(error).toMatchObject({ end: 'attempts', attempts: 3 })
  })

  test('abort ends a wait at once and makes no further attempt', async () => {
    const clock = new ManualClock()
    const fn = vi.fn<(context: AttemptContext) => Promise<number>>(failing(9))
    const controller = new AbortController()
    const result = retry(fn, { clock, signal: controller.signal, backoff: constant(1_000) })
    const failed = rejectionOf(result)
    await clock.advance(10)
    controller.abort(new Error('stop'))
    expect(await failed).toMatchObject({ message: 'stop' })
    await clock.advance(10_000)
    expect(fn).toHaveBeenCalledOnce()
    expect(clock.pendingTimers).toBe(0)
  })

  test('abort ends a hanging attempt at once', async () => {
    const controller = new AbortController()
    const hang = (): Promise<never> => Promise.withResolvers<never>().promise
    const result = retry(hang, { signal: controller.signal, deadlineMs: 1_000 })
    controller.abort(new Error('stop'))
    await expect(result).rejects.toThrow('stop')
  })

  test('an attempt that fails because of the abort is not retried', async () => {
    const clock = new ManualClock()
    const controller = new AbortController()
    const fn = vi.fn<(context: AttemptContext) => Promise<never>>(({ signal }) =>
      clock.sleep(1_000, signal).then(() => Promise.reject(new Error('late'))),
    )
    const result = retry(fn, { clock, signal: controller.signal })
    controller.abort(new Error('stop'))
    await expect(result).rejects.toThrow('stop')
    await clock.advance(100_000)
    expect(fn).toHaveBeenCalledOnce()
  })

  test('a signal that has aborted already makes no attempt', async () => {
    const fn = vi.fn<() => number>()
    const signal = AbortSignal.abort(new Error('before'))
    await expect(retry(fn, { signal })).rejects.toThrow('before')
    expect(fn).not.toHaveBeenCalled()
  })

  test('what onRetry throws ends the operation', async () => {
    const onRetry = (): never => {
      throw new Error('listener')
    }
    await expect(retry(failing(1), { onRetry })).rejects.toThrow('listener')
  })

  test('any number of failures gives the attempts that a plain loop gives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(10), fc.integer({ min: 1, max: 10 }), async (fails, maxAttempts) => {
        const clock = new ManualClock()
        const fn = vi.fn<(context: AttemptContext) => Promise<number>>(failing(fails))
        const settled = Promise.allSettled([retry(fn, { clock, maxAttempts })])
        await clock.advance(1_000_000)
        const [{ status }] = await settled
        expect(fn).toHaveBeenCalledTimes(Math.min(fails + 1, maxAttempts))
        expect(status).toBe(fails < maxAttempts ? 'fulfilled' : 'rejected')
      }),
      { numRuns: 50 },
    )
  })

  test('wrong options name option, limit and value', () => {
    expect(() => retry(failing(0), { maxAttempts: 0 })).toThrow(
      new RangeError('maxAttempts must be a whole number of at least 1, got 0'),
    )
    expect(() => retry(failing(0), { deadlineMs: 0 })).toThrow(
      new RangeError('deadlineMs must be above 0, got 0'),
    )
  })
})
