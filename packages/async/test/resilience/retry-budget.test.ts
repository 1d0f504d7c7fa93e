import { RetryBudget } from '@dharma/async/resilience'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

describe('RetryBudget', () => {
  test('ten calls pay for exactly one retry at a ratio of 0.1', () => {
    const budget = new RetryBudget({ minRetriesPerSecond: 0, maxSaved: 1 })
    expect(budget.tryRetry()).toBe(true)
    for (let i = 0; i < 9; i += 1) budget.recordCall()
    expect(budget.tryRetry()).toBe(false)
    budget.recordCall()
    expect(budget.available).toBe(1)
    expect(budget.tryRetry()).toBe(true)
    expect(budget.stats).toEqual({ calls: 10, retries: 2, denied: 1 })
  })

  test('a quiet service earns retries by time', async () => {
    const clock = new ManualClock()
    const budget = new RetryBudget({ clock, ratio: 0, minRetriesPerSecond: 2, maxSaved: 1 })
    expect(budget.tryRetry()).toBe(true)
    await clock.advance(499)
    expect(budget.tryRetry()).toBe(false)
    await clock.advance(1)
    expect(budget.tryRetry()).toBe(true)
  })

  test('retries never exceed what was saved, paid in and earned, whatever the order', async () => {
    const step = fc.oneof(
      fc.constant('call' as const),
      fc.constant('retry' as const),
      fc.integer({ min: 1, max: 2_000 }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(step, { maxLength: 200 }),
        async (percent, perSecond, maxSaved, steps) => {
          const clock = new ManualClock()
          const options = { ratio: percent / 100, minRetriesPerSecond: perSecond, maxSaved }
          const budget = new RetryBudget({ ...options, clock })
          let calls = 0
          let retries = 0
          let elapsedMs = 0
          for (const what of steps) {
            if (what === 'call') {
              budget.recordCall()
              calls += 1
            } else if (what === 'retry') {
              const isGiven = budget.available > 0
              if (budget.tryRetry() !== isGiven) throw new Error('available was wrong')
              if (isGiven) retries += 1
            } else {
              await clock.advance(what)
              elapsedMs += what
            }
            expect(budget.available).toBeLessThanOrEqual(maxSaved)
            const earned = maxSaved + (calls * percent) / 100 + (elapsedMs * perSecond) / 1000
            expect(retries).toBeLessThanOrEqual(earned + 1e-6)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('wrong options name option, limit and value', () => {
    expect(() => new RetryBudget({ ratio: 1.5 })).toThrow(
      new RangeError('ratio must be within 0–1, got 1.5'),
    )
    expect(() => new RetryBudget({ minRetriesPerSecond: -1 })).toThrow(
      new RangeError('minRetriesPerSecond must be a finite number of at least 0, got -1'),
    )
    expect(() => new RetryBudget({ maxSaved: 0 })).toThrow(
      new RangeError('maxSaved must be a finite number of at least 1, got 0'),
    )
  })
})
