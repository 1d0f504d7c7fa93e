import {
  attachSharedMetrics,
  createMetrics,
  createSharedMetrics,
  NAMED_BOUNDS,
} from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'

const values = fc.array(fc.oneof(fc.double({ min: -10, max: 1e9, noNaN: true }), fc.double()), {
  maxLength: 200,
})
const customBounds = fc
  .uniqueArray(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 30 })
  .filter((all) => all.some((bound) => bound > 0))
  .map((all) => all.map((bound) => bound / 64).toSorted((a, b) => a - b))
const bounds = fc.oneof(
  customBounds.filter(areApart),
  ...Object.values(NAMED_BOUNDS).map((set) => fc.constant(set.bounds)),
)

function areApart(all: readonly number[]): boolean {
  return all.every((bound, i) => i === 0 || bound - (all[i - 1] ?? 0) > bound / 500)
}

function naive(all: readonly number[], chosen: readonly number[]): number[] {
  const finite = all.filter((value) => Number.isFinite(value))
  return [...chosen, Number.POSITIVE_INFINITY].map(
    (bound) => finite.filter((value) => value <= bound).length,
  )
}

it('every classic bucket holds exactly the values at or below its bound', () => {
  fc.assert(
    fc.property(bounds, values, (chosen, some) => {
      const metrics = createMetrics()
      const bound = metrics.histogram('a_things', { help: 'Things.', bounds: chosen }).bind()
      // The bounds themselves and their neighbours are where an error would be.
      const all = [...some, ...chosen, ...chosen.map((one) => one * (1 + Number.EPSILON))]
      for (const value of all) bound.observe(value)
      const reading = metrics.read('a_things')
      if (reading?.kind !== 'histogram') throw new Error('no histogram')
      expect(reading.series[0]?.cumulativeCounts).toEqual(naive(all, chosen))
      expect(reading.series[0]?.count).toBe(bound.count)
    }),
  )
})

it('a quantile lies within 6 % of the true one', () => {
  const positive = fc.array(fc.double({ min: 0.0001, max: 60, noNaN: true }), { minLength: 1 })
  fc.assert(
    fc.property(positive, fc.double({ min: 0, max: 1, noNaN: true }), (all, q) => {
      const bound = createMetrics().histogram('a_seconds', { help: 'A.' }).bind()
      for (const value of all) bound.observe(value)
      const sorted = all.toSorted((a, b) => a - b)
      const truth = sorted[Math.max(0, Math.ceil(q * all.length) - 1)] ?? Number.NaN
      expect(Math.abs(bound.quantile(q) - truth) / truth).toBeLessThanOrEqual(0.06)
    }),
  )
})

it('an empty histogram has no quantile', () => {
  const bound = createMetrics().histogram('a_seconds', { help: 'A.' }).bind()
  expect(bound.quantile(0.5)).toBeNaN()
  expect(bound.count).toBe(0)
})

it('a quantile outside of 0 to 1 is refused', () => {
  const bound = createMetrics().histogram('a_seconds', { help: 'A.' }).bind()
  expect(() => bound.quantile(1.1)).toThrow(
    RangeError('q of a quantile must be between 0 and 1, got 1.1'),
  )
})

it('NaN and infinities are not counted', () => {
  const bound = createMetrics().histogram('a_seconds', { help: 'A.' }).bind()
  for (const value of [Number.NaN, -Number.NaN, 1 / 0, -1 / 0]) bound.observe(value)
  expect([bound.count, bound.sum]).toEqual([0, 0])
})

it('values beyond the range of quantiles are taken for its ends', () => {
  const bound = createMetrics().histogram('a_seconds', { help: 'A.' }).bind()
  bound.observe(0)
  expect(bound.quantile(0.5)).toBe(0)
  for (let i = 0; i < 9; i++) bound.observe(1e6)
  expect(bound.quantile(0.9)).toBe(80)
})

it('a bound of 0 has the values at or below it, whose quantile is 0', () => {
  const metrics = createMetrics()
  const bound = metrics.histogram('a_things', { help: 'Things.', bounds: [0, 1] }).bind()
  for (const value of [-1, -0, 0, 0.5]) bound.observe(value)
  expect(metrics.read('a_things')).toMatchObject({ series: [{ cumulativeCounts: [3, 4, 4] }] })
  expect(bound.quantile(0.5)).toBe(0)
})

it('counts beyond 2^31 stay exact', () => {
  const metrics = createMetrics()
  const shared = createSharedMetrics(metrics)
  const many = attachSharedMetrics(shared.memory, { clock: new ManualClock() })
  const there = many.histogram('a_things', { help: 'Things.', bounds: [1] }).bind()
  there.observe(0.5)
  const here = metrics.histogram('a_things', { help: 'Things.', bounds: [1] }).bind()
  here.observe(0.5)
  // What a thread counted is taken over as a number of any size.
  const cells = new Float64Array(shared.memory, shared.memory.byteLength / 8)
  cells[cells.indexOf(1)] = 2 ** 40
  many.close()
  shared.close()
  here.observe(0.5)
  expect(here.count).toBe(2 ** 40 + 2)
})

it('bounds that no bucket can part are refused', () => {
  const close = () => createMetrics().histogram('a_things', { help: 'A.', bounds: [1, 1.0001] })
  expect(close).toThrow(/^metric a_things: bounds must differ/)
})
