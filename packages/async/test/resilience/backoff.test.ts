import { constant, exponential } from '@dharma/async/resilience'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const options = fc.record({
  baseMs: fc.integer({ min: 1, max: 1_000 }),
  extraMs: fc.integer({ min: 0, max: 100_000 }),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
})
const uniform = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('exponential', () => {
  test('without jitter each wait is the one before times the factor, up to the maximum', () => {
    const backoff = exponential({ baseMs: 100, maxMs: 500, factor: 2, jitter: 'none' })
    expect([1, 2, 3, 4, 50].map((attempt) => backoff(attempt, 0, Math.random))).toEqual([
      100, 200, 400, 500, 500,
    ])
  })

  test('full jitter is within [0, what it is without)', () => {
    const attempts = fc.integer({ min: 1, max: 2_000 })
    fc.assert(
      fc.property(options, attempts, uniform, ({ extraMs, ...rest }, attempt, draw) => {
        const all = { ...rest, maxMs: rest.baseMs + extraMs }
        const ceilingMs = exponential({ ...all, jitter: 'none' })(attempt, 0, () => draw)
        const delayMs = exponential(all)(attempt, 0, () => draw)
        expect(delayMs).toBe(draw * ceilingMs)
        expect(ceilingMs).toBeGreaterThanOrEqual(rest.baseMs)
        expect(ceilingMs).toBeLessThanOrEqual(all.maxMs)
      }),
    )
  })

  test('decorrelated jitter stays within [base, maximum] along any chain', () => {
    const draws = fc.array(uniform, { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(options, draws, ({ extraMs, ...rest }, chain) => {
        const maxMs = rest.baseMs + extraMs
        const backoff = exponential({ ...rest, maxMs, jitter: 'decorrelated' })
        let previousMs = 0
        for (const [index, draw] of chain.entries()) {
          const delayMs = backoff(index + 1, previousMs, () => draw)
          const highestMs = Math.max(rest.baseMs, previousMs) * (rest.factor + 1)
          expect(delayMs).toBeGreaterThanOrEqual(rest.baseMs)
          expect(delayMs).toBeLessThanOrEqual(Math.min(maxMs, highestMs) + 1e-6)
          previousMs = delayMs
        }
      }),
    )
  })

  test('wrong options name option, limit and value', () => {
    expect(() => exponential({ baseMs: 0 })).toThrow(
      new RangeError('baseMs must be a finite number above 0, got 0'),
    )
    expect(() => exponential({ baseMs: 10, maxMs: 5 })).toThrow(
      new RangeError('maxMs must be finite and at least baseMs (10), got 5'),
    )
    expect(() => exponential({ factor: 0.5 })).toThrow(
      new RangeError('factor must be a finite number of at least 1, got 0.5'),
    )
    expect(() => exponential({ jitter: 'half' as 'full' })).toThrow(
      new RangeError("jitter must be 'full', 'decorrelated' or 'none', got half"),
    )
  })
})

describe('constant', () => {
  test('every wait is the same', () => {
    expect(constant(7)(3, 100, Math.random)).toBe(7)
  })

  test('a negative wait is refused', () => {
    expect(() => constant(-1)).toThrow(
      new RangeError('delayMs must be a finite number of at least 0, got -1'),
    )
  })
})
