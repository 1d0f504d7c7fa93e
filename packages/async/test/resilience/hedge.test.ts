import { getEventListeners } from 'node:events'
import { hedge, LatencyQuantile, RetryBudget, type AttemptContext } from '@dharma/async/resilience'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { rejectionOf } from './rejection-of.ts'

/** Calls that take as long as the test says, by attempt, and note how they were aborted. */
function timed(clock: ManualClock, tookMs: readonly (number | Error)[]) {
  const signals: AbortSignal[] = []
  const fn = vi.fn<(context: AttemptContext) => Promise<number>>(async ({ attempt, signal }) => {
    signals.push(signal)
    const took = tookMs[attempt - 1]
    if (typeof took !== 'number') throw took
    await clock.sleep(took, signal)
    return attempt
  })
  return { fn, signals }
}

describe('hedge', () => {
  test('an answer in time makes no further call', async () => {
    const clock = new ManualClock()
    const { fn } = timed(clock, [50])
    const result = hedge(fn, { after: 100, clock })
    await clock.advance(500)
    expect(await result).toBe(1)
    expect(fn).toHaveBeenCalledOnce()
    expect(clock.pendingTimers).toBe(0)
  })

  test('a late answer makes one more call, the first success counts, the loser is aborted', async () => {
    const clock = new ManualClock()
    const onHedge = vi.fn<(attempt: number) => void>()
    const { fn, signals } = timed(clock, [5_000, 10])
    const result = hedge(fn, { after: 100, clock, onHedge })
    await clock.advance(110)
    expect(await result).toBe(2)
    expect(onHedge.mock.calls).toEqual([[2]])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
  })

  test('no more hedges than allowed are made', async () => {
    const clock = new ManualClock()
    const { fn } = timed(clock, [5_000, 5_000, 5_000, 5_000])
    const result = hedge(fn, { after: 100, maxHedges: 2, clock })
    await clock.advance(5_000)
    expect(await result).toBe(1)
    expect(fn).toHaveBeenCalledTimes(3)
  })

  test('an error counts only when no call is left', async () => {
    const clock = new ManualClock()
    const both = timed(clock, [200, new Error('hedge')])
    const first = hedge(both.fn, { after: 100, clock })
    await clock.advance(200)
    expect(await first).toBe(1)

    const { fn } = timed(clock, [new Error('first')])
    await expect(hedge(fn, { after: 100, clock })).rejects.toThrow('first')
    const throwing = (): never => {
      throw new Error('at once')
    }
    await expect(hedge(throwing, { after: 100, clock })).rejects.toThrow('at once')
  })

  test('a spent budget makes no further call', async () => {
    const clock = new ManualClock()
    const budget = new RetryBudget({ clock, ratio: 0, minRetriesPerSecond: 0, maxSaved: 1 })
    const { fn } = timed(clock, [500, 500])
    const results = [
      hedge(fn, { after: 100, budget, clock }),
      hedge(fn, { after: 100, budget, clock }),
    ]
    await clock.advance(1_000)
    await Promise.all(results)
    expect(fn).toHaveBeenCalledTimes(3)
    expect(budget.stats).toEqual({ calls: 2, retries: 1, denied: 1 })
  })

  test('abort ends all calls at once', async () => {
    const clock = new ManualClock()
    const controller = new AbortController()
    const { signal } = controller
    const { fn, signals } = timed(clock, [5_000, 5_000])
    const failed = rejectionOf(hedge(fn, { after: 100, clock, signal }))
    await clock.advance(200)
    controller.abort(new Error('stop'))
    expect(await failed).toMatchObject({ message: 'stop' })
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    await expect(hedge(fn, { after: 100, clock, signal })).rejects.toThrow('stop')
    expect(fn).toHaveBeenCalledTimes(2)
  })

  test('an answer that comes though its call was aborted is dropped', async () => {
    const clock = new ManualClock()
    const deaf = async ({ attempt }: AttemptContext): Promise<number> => {
      await clock.sleep(attempt === 1 ? 500 : 10)
      return attempt
    }
    const result = hedge(deaf, { after: 100, clock })
    await clock.advance(1_000)
    expect(await result).toBe(2)
  })

  test('a quantile hedges what is slower than most, once it knows enough', async () => {
    const clock = new ManualClock()
    const after = new LatencyQuantile({ quantile: 0.9, minSamples: 10 })
    const usual = timed(clock, [20])
    for (let i = 0; i < 9; i += 1) {
      const result = hedge(usual.fn, { after, clock })
      await clock.advance(20)
      await result
    }
    expect(after.valueMs).toBe(Infinity)
    const unknown = timed(clock, [1_000])
    const slow = hedge(unknown.fn, { after, clock })
    await clock.advance(1_000)
    await slow
    expect(unknown.fn).toHaveBeenCalledOnce()
    expect(after.valueMs).toBe(20)

    const { fn } = timed(clock, [1_000, 5])
    const hedged = hedge(fn, { after, clock })
    await clock.advance(25)
    expect(await hedged).toBe(2)
  })

  test('wrong options name option, limit and value', () => {
    expect(() => hedge(() => 1, { after: -1 })).toThrow(
      new RangeError('after must be at least 0, got -1'),
    )
    expect(() => hedge(() => 1, { after: 1, maxHedges: 0 })).toThrow(
      new RangeError('maxHedges must be a whole number of at least 1, got 0'),
    )
  })
})

describe('LatencyQuantile', () => {
  test('it is the quantile of the latest samples', () => {
    const samples = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(samples, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (all, quantile) => {
        const latency = new LatencyQuantile({ quantile, minSamples: 8, maxSamples: 64 })
        for (const sample of all) latency.add(sample)
        const seen = all.length < 32 ? 8 : all.length - (all.length % 32)
        const kept = all.slice(Math.max(0, seen - 64), seen).toSorted((a, b) => a - b)
        const expectedMs = kept[Math.ceil(quantile * kept.length) - 1]
        expect(latency.valueMs).toBe(all.length < 8 ? Infinity : expectedMs)
      }),
    )
  })

  test('wrong options name option, limit and value', () => {
    expect(() => new LatencyQuantile({ quantile: 1 })).toThrow(
      new RangeError('quantile must be above 0 and below 1, got 1'),
    )
    expect(() => new LatencyQuantile({ minSamples: 0 })).toThrow(
      new RangeError('minSamples must be a whole number of at least 1, got 0'),
    )
    expect(() => new LatencyQuantile({ maxSamples: 10 })).toThrow(
      new RangeError('maxSamples must be a whole number of at least minSamples (50), got 10'),
    )
  })
})
