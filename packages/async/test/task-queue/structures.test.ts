import { takeFromBucket, TaskPayloadError } from '@dharma/async/task-queue'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodePayload } from '../../src/task-queue/codec.ts'
import { AdaptiveConcurrency } from '../../src/task-queue/worker/adaptive-concurrency.ts'
import { QueueOrder } from '../../src/task-queue/worker/queue-order.ts'

describe('encodePayload', () => {
  it('carries every JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = encodePayload('t', 'input', value, Infinity)
        expect(text).toBe(JSON.stringify(value))
      }),
    )
  })

  const cycle: Record<string, unknown> = {}
  cycle['self'] = { cycle }
  it.each([
    ['a Date at input.when', { when: new Date(0) }],
    ['a Map at input', new Map()],
    ['NaN at input.list[1]', { list: [1, Number.NaN] }],
    ['Infinity at input', Infinity],
    ['a value of type bigint at input', 1n],
    ['a value of type undefined at input[0]', [undefined]],
    ['a value of type function at input.f', { f: () => 1 }],
    ['a value of type symbol at input', Symbol('s')],
    ['a cycle at input.self.cycle', cycle],
  ])('refuses %s', (place, value) => {
    expect(() => encodePayload('t', 'input', value, Infinity)).toThrow(TaskPayloadError)
    expect(() => encodePayload('t', 'input', value, Infinity)).toThrow(place)
  })

  it('leaves out what is undefined, and lets one object stand at two places', () => {
    const shared = { n: 1 }
    expect(encodePayload('t', 'input', { a: shared, b: shared, c: undefined }, 100)).toBe(
      '{"a":{"n":1},"b":{"n":1}}',
    )
  })

  it('measures bytes, not characters', () => {
    expect(encodePayload('t', 'input', '€€', 8)).toBe('"€€"')
    expect(() => encodePayload('t', 'input', '€€', 7)).toThrow('has 8 bytes, the limit is 7')
  })
})

describe('QueueOrder', () => {
  const all = (): boolean => true

  it('gives slots in proportion to weights over any stretch', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 1, max: 7 }),
        (weights, room) => {
          const names = weights.map((_, index) => `q${index}`)
          const named = Object.fromEntries(weights.map((weight, index) => [`q${index}`, weight]))
          const order = new QueueOrder(names, { weights: named })
          const total = weights.reduce((sum, weight) => sum + weight, 0)
          const given = new Map<string, number>()
          for (let slots = 0; slots < total * room; slots += room) {
            const shares = order.divide(room, all)
            expect(shares.map(({ name }) => name).toSorted()).toEqual(names)
            expect(shares.reduce((sum, { share }) => sum + share, 0)).toBe(room)
            for (const { name, share } of shares) given.set(name, (given.get(name) ?? 0) + share)
          }
          for (const [index, weight] of weights.entries()) {
            expect(given.get(`q${index}`)).toBe(weight * room)
          }
        },
      ),
    )
  })

  it('offers all slots to each queue in turn when strict, and none to a closed one', () => {
    const order = new QueueOrder(['a', 'b', 'c'], 'strict')
    expect(order.divide(3, (name) => name !== 'b')).toEqual([
      { name: 'a', share: 3 },
      { name: 'c', share: 3 },
    ])
  })

  it('names a weight that is wrong', () => {
    expect(() => new QueueOrder(['a'], { weights: { a: 0 } })).toThrow('order.weights.a')
    expect(() => new QueueOrder(['a'], { weights: { b: 1 } })).toThrow("no queue 'b'")
  })
})

describe('takeFromBucket', () => {
  it('never grants more in any span than a burst and what has come back in it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 300 }), count: fc.nat(5) })),
        (max, calls) => {
          const limit = { max, perMs: 1_000 }
          const grants: { atMs: number; granted: number }[] = []
          let fullAtMs = 0
          let nowMs = 5_000
          for (const { waitMs, count } of calls) {
            nowMs += waitMs
            const take = takeFromBucket(fullAtMs, limit, count, nowMs)
            fullAtMs = take.fullAtMs
            grants.push({ atMs: nowMs, granted: take.granted })
            expect(take.retryAfterMs === 0).toBe(take.granted === count)
          }
          for (const [from, first] of grants.entries()) {
            let sum = 0
            for (const { atMs, granted } of grants.slice(from)) {
              sum += granted
              const backMs = atMs - first.atMs
              expect(sum).toBeLessThanOrEqual(max + (backMs * max) / 1_000 + 1e-6)
            }
          }
        },
      ),
    )
  })

  it('grants the next use after the time it says, and not before', () => {
    const limit = { max: 2, perMs: 100 }
    const full = takeFromBucket(0, limit, 5, 1_000)
    expect(full).toMatchObject({ granted: 2, retryAfterMs: 50 })
    expect(takeFromBucket(full.fullAtMs, limit, 1, 1_049).granted).toBe(0)
    expect(takeFromBucket(full.fullAtMs, limit, 1, 1_050).granted).toBe(1)
  })
})

describe('AdaptiveConcurrency', () => {
  /** Looks again and again at a worker whose jobs per look follow a law. */
  function settle(concurrency: AdaptiveConcurrency, law: (limit: number) => number, looks = 60) {
    const limits: number[] = []
    for (let look = 0; look < looks; look++) {
      const { limit } = concurrency
      for (let job = 0; job < law(limit); job++) concurrency.ended()
      concurrency.started(limit)
      concurrency.look(limit)
      limits.push(concurrency.limit)
    }
    return limits
  }

  it('grows to its end while throughput grows with it', () => {
    const concurrency = new AdaptiveConcurrency({ min: 2, max: 64 }, () => 0.2)
    expect(settle(concurrency, (limit) => limit * 10).at(-1)).toBe(64)
  })

  it('stays near where more brings nothing', () => {
    const concurrency = new AdaptiveConcurrency({ min: 2, max: 64 }, () => 0.2)
    const limits = settle(concurrency, (limit) => Math.min(limit, 12) * 10)
    expect(Math.max(...limits)).toBeLessThanOrEqual(20)
    expect(limits.at(-1)).toBeGreaterThanOrEqual(10)
  })

  it('falls to its least while the event loop is busy', () => {
    const concurrency = new AdaptiveConcurrency({ min: 2, max: 64 }, () => 0.99)
    expect(settle(concurrency, (limit) => limit).at(-1)).toBe(2)
  })

  it('shrinks when its slots stay free', () => {
    const concurrency = new AdaptiveConcurrency({ min: 1, max: 64 }, () => 0.2)
    settle(concurrency, (limit) => limit * 10)
    for (let look = 0; look < 100; look++) concurrency.look(0)
    expect(concurrency.limit).toBe(1)
  })

  it.each([
    ['concurrency', 0],
    ['concurrency.min', { min: 0, max: 2 }],
    ['concurrency.max', { min: 3, max: 2 }],
  ])('names %s when it is out of range', (option, value) => {
    expect(() => new AdaptiveConcurrency(value)).toThrow(RangeError)
    expect(() => new AdaptiveConcurrency(value)).toThrow(option)
  })
})
