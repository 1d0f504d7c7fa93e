import { LatencyHistogram, mongoShape } from '@dharma/database/performance'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { HeavyHitters } from '../../src/performance/heavy-hitters.ts'
import { Reservoir } from '../../src/performance/reservoir.ts'
import { sqlSkeleton } from '../../src/performance/sql-skeleton.ts'

it('quantiles are within 7 % of the true ones, whatever the latencies', () => {
  const latency = fc.double({ min: 0.05, max: 1_000_000, noNaN: true })
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: 1 }),
      fc.constantFrom(0.01, 0.5, 0.95, 1),
      (all, q) => {
        const histogram = new LatencyHistogram()
        for (const ms of all) histogram.observe(ms)
        const sorted = all.toSorted((a, b) => a - b)
        const truth = sorted[Math.max(1, Math.ceil(q * all.length)) - 1] ?? 0
        expect(histogram.quantileMs(q) / truth).toBeGreaterThan(0.93)
        expect(histogram.quantileMs(q) / truth).toBeLessThan(1.07)
        expect(histogram.maxMs).toBe(sorted.at(-1))
        expect(histogram.count).toBe(all.length)
      },
    ),
  )
})

it('histograms add up, and bear what is out of range', () => {
  const [one, other] = [new LatencyHistogram(), new LatencyHistogram()]
  expect(one.quantileMs(0.5)).toBe(0)
  one.observe(0)
  other.observe(1e12)
  one.add(other)
  expect(one.count).toBe(2)
  expect(one.maxMs).toBe(1e12)
  expect(one.quantileMs(0)).toBeLessThan(0.001)
})

it('every item heavier than the total divided by the capacity is kept, its weight within its error', () => {
  const event = fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 100 }))
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 300 }),
      fc.integer({ min: 1, max: 10 }),
      (events, capacity) => {
        const hitters = new HeavyHitters(capacity, () => undefined)
        const truth = new Map<string, number>()
        let total = 0
        for (const [id, weight] of events) {
          const key = String(id)
          hitters.item(key).weight += weight
          truth.set(key, (truth.get(key) ?? 0) + weight)
          total += weight
        }
        expect(hitters.size).toBeLessThanOrEqual(capacity)
        for (const { key, weight, error } of hitters.top()) {
          expect(weight).toBeGreaterThanOrEqual(truth.get(key) ?? 0)
          expect(weight - error).toBeLessThanOrEqual(truth.get(key) ?? 0)
        }
        const heavy = [...truth].filter(([, weight]) => weight > total / capacity)
        expect(heavy.filter(([key]) => hitters.get(key) === undefined)).toEqual([])
      },
    ),
  )
})

it('what is counted under a preliminary key adds up under its final one', () => {
  const hitters = new HeavyHitters<string[]>(3, (key) => [key])
  const merge = (into: string[], from: string[]): void => void into.push(...from)
  hitters.item('a').weight += 1
  hitters.rename('a', 'b', merge)
  hitters.item('c').weight += 2
  hitters.rename('c', 'b', merge)
  hitters.rename('nowhere', 'b', merge)
  expect(hitters.top()).toEqual([{ key: 'b', value: ['a', 'c'], weight: 3, error: 0 }])
})

it('a sample is uniform over the stream', () => {
  let seed = 7
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const chosen = Array.from({ length: 100 }, () => 0)
  const sizes = new Set<number>()
  for (let run = 0; run < 4_000; run++) {
    const reservoir = new Reservoir<number>(8, random)
    for (let index = 0; index < 100; index++) if (reservoir.wants()) reservoir.put(index)
    sizes.add(reservoir.items.length)
    for (const index of reservoir.items) chosen[index] = (chosen[index] ?? 0) + 1
  }
  expect([...sizes]).toEqual([8])
  // 320 expected for each, with a standard deviation of 17.
  expect(Math.min(...chosen)).toBeGreaterThan(240)
  expect(Math.max(...chosen)).toBeLessThan(400)
})

it('texts that differ in constants have one skeleton', () => {
  const constant = fc.oneof(
    fc.nat().map(String),
    fc.string().map((text) => `'${text.replaceAll("'", "''")}'`),
  )
  fc.assert(
    fc.property(constant, (value) => {
      expect(
        sqlSkeleton(`select "a 1", t1.x /* y */ from t1\n where x = ${value} and y = $1`),
      ).toBe('select "a 1", t1.x from t1 where x = ? and y = $1')
    }),
  )
})

it('the shape of a Mongo operation keeps keys and operators, and no value', () => {
  expect(
    mongoShape('find', 'users', { age: { $gt: 5 }, tag: { $in: ['a', 'b'] }, at: new Date() }),
  ).toBe('find users {age:{$gt:?},tag:{$in:[?]},at:?}')
  expect(
    mongoShape('aggregate', 'users', [
      { $match: { name: 'secret', list: [1, 2] } },
      { $lookup: { from: 'posts', localField: '_id', foreignField: 'user', as: 'posts' } },
      { $group: { _id: '$city', n: { $sum: 1 } } },
      { $sort: { n: -1 } },
      { $limit: 10 },
    ]),
  ).toBe(
    'aggregate users [{$match:{name:?,list:?}},{$lookup:{from:posts,localField:_id,foreignField:user,as:posts}},' +
      '{$group:{_id:$city,n:{$sum:?}}},{$sort:{n:-1}},{$limit:?}]',
  )
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      const shape = (value: string): string =>
        mongoShape('find', 'c', { a: { $eq: `x${value}` }, $or: [{ b: `x${value}` }] })
      return shape(one) === shape(other)
    }),
  )
  let deep: unknown = 1
  for (let depth = 0; depth < 100; depth++) deep = { $and: [deep] }
  expect(mongoShape('find', 'c', deep)).toContain('…')
})
