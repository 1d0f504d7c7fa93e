import { AdaptiveLimit, LimitExceededError } from '@dharma/async/resilience'
import type { AdaptiveLimitOptions } from '@dharma/async/resilience'
import { TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

/** A service that answers `width` calls at once in 10 ms each; more of them share its time. */
async function serve(
  limit: AdaptiveLimit,
  clock: ManualClock,
  load: { readonly width: number; readonly callers: number; readonly forMs: number },
): Promise<number> {
  const endMs = clock.monotonicMs() + load.forMs
  let most = 0
  const caller = async (): Promise<void> => {
    while (clock.monotonicMs() < endMs) {
      const call = limit.execute(async () => {
        most = Math.max(most, limit.inProgress)
        await clock.sleep(10 * Math.max(1, limit.inProgress / load.width))
      })
      const [result] = await Promise.allSettled([call])
      if (result.status === 'rejected') await clock.sleep(40)
    }
  }
  const callers = Promise.all(Array.from({ length: load.callers }, caller))
  await clock.advance(load.forMs + 1_000)
  await callers
  return most
}

describe('AdaptiveLimit', { timeout: 20_000 }, () => {
  test('a call beyond the limit is rejected and not made', async () => {
    const limit = new AdaptiveLimit({ name: 'search', initialLimit: 1 })
    const first = Promise.withResolvers<number>()
    const running = limit.execute(() => first.promise)
    const rejected = limit.execute(() => 2)
    await expect(rejected).rejects.toEqual(new LimitExceededError('search', 1))
    await expect(rejected).rejects.toMatchObject({
      code: 'DHARMA_LIMIT_EXCEEDED',
      limiter: 'search',
      limit: 1,
      message: 'search allows 1 calls at once at present',
    })
    first.resolve(1)
    expect(await running).toBe(1)
    expect(limit.inProgress).toBe(0)
  })

  test('it grows while latencies stay what they are', async () => {
    const clock = new ManualClock()
    const limit = new AdaptiveLimit({ clock, initialLimit: 5 })
    await serve(limit, clock, { width: 1_000, callers: 40, forMs: 5_000 })
    expect(limit.limit).toBeGreaterThanOrEqual(40)
  })

  test('it grows only as far as it is used', async () => {
    const clock = new ManualClock()
    const limit = new AdaptiveLimit({ clock, initialLimit: 20 })
    await serve(limit, clock, { width: 1_000, callers: 3, forMs: 2_000 })
    expect(limit.limit).toBe(20)
  })

  test('it shrinks to what the service bears when that becomes less', async () => {
    const clock = new ManualClock()
    const limit = new AdaptiveLimit({ clock, initialLimit: 40, maxLimit: 100 })
    await serve(limit, clock, { width: 100, callers: 60, forMs: 3_000 })
    const before = limit.limit
    expect(before).toBeGreaterThan(50)
    await serve(limit, clock, { width: 5, callers: 60, forMs: 2_000 })
    expect(limit.limit).toBeLessThan(before / 2)
  })

  test('it finds back after an overload is over', async () => {
    const clock = new ManualClock()
    const limit = new AdaptiveLimit({ clock, initialLimit: 40, maxLimit: 100 })
    await serve(limit, clock, { width: 100, callers: 60, forMs: 2_000 })
    await serve(limit, clock, { width: 3, callers: 60, forMs: 3_000 })
    await serve(limit, clock, { width: 100, callers: 60, forMs: 5_000 })
    expect(limit.limit).toBeGreaterThan(50)
  })

  test('a timeout takes a tenth off, once a sample, and another error nothing', async () => {
    const clock = new ManualClock()
    const limit = new AdaptiveLimit({ clock, initialLimit: 100 })
    const fail = (error: Error) => (): never => {
      throw error
    }
    await expect(limit.execute(fail(new Error('own')))).rejects.toThrow('own')
    expect(limit.limit).toBe(100)
    for (let i = 0; i < 5; i += 1) {
      await expect(limit.execute(fail(new TimeoutError('call', 5)))).rejects.toThrow(TimeoutError)
    }
    expect(limit.limit).toBe(90)
    await clock.advance(100)
    await expect(limit.execute(fail(new TimeoutError('call', 5)))).rejects.toThrow(TimeoutError)
    expect(limit.limit).toBe(81)
  })

  test('what means overload can be said', async () => {
    const limit = new AdaptiveLimit({ initialLimit: 100, overloadIf: () => true })
    await expect(limit.execute(() => Promise.reject(new Error('own')))).rejects.toThrow('own')
    expect(limit.limit).toBe(90)
  })

  test('latencies of zero are no reason to shrink', async () => {
    const limit = new AdaptiveLimit({ clock: new ManualClock(), initialLimit: 1, sampleMs: 0 })
    for (let i = 0; i < 100; i += 1) await limit.execute(() => i)
    expect(limit.limit).toBeGreaterThan(1)
  })

  test('whatever the latencies, the limit stays within its bounds and is never passed', async () => {
    const latencies = fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 200 })
    await fc.assert(
      fc.asyncProperty(latencies, fc.integer({ min: 1, max: 10 }), async (all, minLimit) => {
        const clock = new ManualClock()
        const bounds = { minLimit, initialLimit: minLimit + 5, maxLimit: minLimit + 15 }
        const limit = new AdaptiveLimit({ ...bounds, clock, sampleMs: 20 })
        const calls = all.map(async (latencyMs, index) => {
          await clock.sleep(index)
          const before = limit.inProgress
          const isFree = before < limit.limit
          const call = limit.execute(() => clock.sleep(latencyMs))
          const [result] = await Promise.allSettled([call])
          expect(result.status).toBe(isFree ? 'fulfilled' : 'rejected')
          expect(limit.limit).toBeGreaterThanOrEqual(bounds.minLimit)
          expect(limit.limit).toBeLessThanOrEqual(bounds.maxLimit)
        })
        await clock.advance(2_000)
        await Promise.all(calls)
        expect(limit.inProgress).toBe(0)
      }),
      { numRuns: 30 },
    )
  })

  test('wrong options name option, limit and value', () => {
    const wrong: [AdaptiveLimitOptions, string][] = [
      [{ minLimit: 0 }, 'minLimit must be at least 1, got 0'],
      [{ minLimit: 5, maxLimit: 4 }, 'maxLimit must be at least minLimit (5), got 4'],
      [{ initialLimit: 2_000 }, 'initialLimit must be within 1–1000, got 2000'],
      [{ tolerance: 0.5 }, 'tolerance must be at least 1, got 0.5'],
      [{ smoothing: 0 }, 'smoothing must be above 0 and at most 1, got 0'],
      [{ sampleMs: -1 }, 'sampleMs must be at least 0, got -1'],
    ]
    for (const [options, message] of wrong) {
      expect(() => new AdaptiveLimit(options)).toThrow(new RangeError(message))
    }
  })
})
