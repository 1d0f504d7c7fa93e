import { getEventListeners } from 'node:events'
import { createPolicy, isRejection, RateLimitedError, RateLimiter } from '@dharma/async/resilience'
import { ClosedError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rejectionOf } from './rejection-of.ts'

describe('RateLimiter', () => {
  test('a burst passes at once, and then one call as often as the rate says', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ limit: 10, intervalMs: 1_000, burst: 3, clock })
    const passed = (): number => {
      let count = 0
      while (limiter.tryAcquire()) count += 1
      return count
    }
    expect(passed()).toBe(3)
    await clock.advance(99)
    expect(passed()).toBe(0)
    await clock.advance(1)
    expect(passed()).toBe(1)
    await clock.advance(10_000)
    expect(passed()).toBe(3)
  })

  test('callers wait in order, with one timer, and no newcomer passes them', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ limit: 10, burst: 1, clock })
    const order: number[] = []
    const calls = [0, 1, 2].map((id) => limiter.execute(() => order.push(id)))
    expect(limiter.waiting).toBe(2)
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(100)
    expect(order).toEqual([0, 1])
    expect(limiter.tryAcquire()).toBe(false)
    await clock.advance(100)
    await Promise.all(calls)
    expect(order).toEqual([0, 1, 2])
    expect(clock.pendingTimers).toBe(0)
  })

  test('abort takes a waiting caller out, and its turn goes to the next', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ limit: 1, clock })
    await limiter.acquire()
    const controller = new AbortController()
    const { signal } = controller
    const aborted = rejectionOf(limiter.acquire({ signal }))
    const next = limiter.acquire({ signal: new AbortController().signal })
    controller.abort(new Error('stop'))
    expect(await aborted).toEqual(new Error('stop'))
    await clock.advance(1_000)
    await next
    const last = rejectionOf(limiter.acquire({ signal: AbortSignal.abort(new Error('early')) }))
    expect(await last).toEqual(new Error('early'))
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('no timer stays when the only waiting caller aborts', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ limit: 1, clock })
    await limiter.acquire()
    const controller = new AbortController()
    const aborted = rejectionOf(limiter.acquire({ signal: controller.signal }))
    controller.abort(new Error('stop'))
    await aborted
    expect([limiter.waiting, clock.pendingTimers]).toEqual([0, 0])
    const next = limiter.acquire()
    await clock.advance(1_000)
    await next
  })

  test('a full queue refuses with the time after which to come again', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ name: 'mail', limit: 2, burst: 1, queueLimit: 1, clock })
    await limiter.acquire({ key: 'a' })
    const waiting = limiter.acquire({ key: 'a' })
    const error = await rejectionOf(limiter.acquire({ key: 'a' }))
    expect(error).toBeInstanceOf(RateLimitedError)
    expect(error).toMatchObject({
      code: 'DHARMA_RATE_LIMITED',
      limiter: 'mail',
      key: 'a',
      retryAfterMs: 1_000,
      message: 'mail lets no call through for 1000 ms',
    })
    expect(isRejection(error)).toBe(true)
    await clock.advance(500)
    await waiting
  })

  test('keys have rates of their own, and the one used longest ago is forgotten first', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ limit: 1, maxKeys: 2, clock })
    expect(['a', 'b', 'a', 'b'].map((key) => limiter.tryAcquire(key))).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(limiter.tryAcquire('a')).toBe(false)
    expect(limiter.tryAcquire('c')).toBe(true)
    expect(limiter.size).toBe(2)
    // `b` is forgotten, `a` is not.
    expect(limiter.tryAcquire('a')).toBe(false)
    expect(limiter.tryAcquire('b')).toBe(true)
  })

  test('a key for which calls wait is not forgotten', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ limit: 1, maxKeys: 1, clock })
    await limiter.acquire({ key: 'a' })
    const waiting = limiter.acquire({ key: 'a' })
    expect(limiter.tryAcquire('b')).toBe(false)
    expect(await rejectionOf(limiter.acquire({ key: 'b' }))).toBeInstanceOf(RateLimitedError)
    await clock.advance(1_000)
    await waiting
    expect(limiter.tryAcquire('b')).toBe(true)
  })

  test('closing refuses who waits and who comes', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ limit: 1, clock })
    await limiter.acquire()
    const waiting = rejectionOf(limiter.acquire())
    await limiter[Symbol.asyncDispose]()
    expect(await waiting).toBeInstanceOf(ClosedError)
    expect(await rejectionOf(limiter.acquire())).toBeInstanceOf(ClosedError)
    expect(limiter.tryAcquire()).toBe(false)
    expect([limiter.waiting, limiter.size, clock.pendingTimers]).toEqual([0, 0, 0])
  })

  test.each([
    [{ limit: 0 }, 'limit must be a finite number above 0, got 0'],
    [{ limit: Infinity }, 'limit must be a finite number above 0, got Infinity'],
    [{ limit: 1, intervalMs: -1 }, 'intervalMs must be a finite number above 0, got -1'],
    [{ limit: 1, burst: 0.5 }, 'burst must be a whole number of at least 1, got 0.5'],
    [{ limit: 1, queueLimit: -1 }, 'queueLimit must be a whole number of at least 0, got -1'],
    [{ limit: 1, maxKeys: 0 }, 'maxKeys must be a whole number of at least 1, got 0'],
  ])('the options %j are refused', (options, message) => {
    expect(() => new RateLimiter(options)).toThrow(new RangeError(message))
  })

  test('whatever is asked and when, each key does what a bucket filled drop by drop does', async () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant('try' as const), key: fc.nat(2) }),
      fc.record({ what: fc.constant('acquire' as const), key: fc.nat(2) }),
      fc.record({ what: fc.constant('abort' as const), pick: fc.nat() }),
      fc.record({ what: fc.constant('advance' as const), byMs: fc.integer({ min: 1, max: 60 }) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(3),
        fc.array(step, { maxLength: 60 }),
        async (costMs, burst, queueLimit, steps) => {
          const clock = new ManualClock()
          const limit = 1_000 / costMs
          const limiter = new RateLimiter({ limit, burst, queueLimit, clock })
          const buckets = [0, 1, 2].map(() => ({
            tokens: burst,
            sinceMs: 0,
            queue: [] as number[],
          }))
          const passed = new Set<number>()
          const expected = new Set<number>()
          const wrong: number[] = []
          const aborts = new Map<number, AbortController>()
          /** One millisecond: a drop after each `costMs` since the bucket was last full. */
          const tick = (): void => {
            for (const bucket of buckets) {
              if (bucket.tokens < burst && ++bucket.sinceMs >= costMs) {
                bucket.tokens += 1
                bucket.sinceMs = 0
              }
              if (bucket.tokens === 0 || bucket.queue.length === 0) continue
              bucket.tokens -= 1
              expected.add(bucket.queue.shift() as number)
            }
          }
          for (const [id, one] of steps.entries()) {
            if (one.what === 'advance') {
              for (let ms = 0; ms < one.byMs; ms += 1) tick()
              await clock.advance(one.byMs)
            } else if (one.what === 'abort') {
              const bucket = buckets.find(({ queue }) => queue.length > 0)
              const [gone] = bucket?.queue.splice(one.pick % bucket.queue.length, 1) ?? []
              if (gone !== undefined) aborts.get(gone)?.abort(new Error('stop'))
            } else {
              const bucket = buckets[one.key] as (typeof buckets)[number]
              const canPass = bucket.tokens > 0 && bucket.queue.length === 0
              if (canPass) bucket.tokens -= 1
              if (one.what === 'try') {
                if (limiter.tryAcquire(`${one.key}`) !== canPass) wrong.push(id)
              } else {
                const waiting = buckets.reduce((sum, { queue }) => sum + queue.length, 0)
                if (canPass) expected.add(id)
                else if (waiting < queueLimit) bucket.queue.push(id)
                const controller = new AbortController()
                aborts.set(id, controller)
                const options = { key: `${one.key}`, signal: controller.signal }
                limiter.acquire(options).then(
                  () => passed.add(id),
                  () => undefined,
                )
              }
            }
            await clock.advance(0)
            expect(passed).toEqual(expected)
            expect(wrong).toEqual([])
          }
          await limiter.close()
          expect(clock.pendingTimers).toBe(0)
        },
      ),
    )
  })
})

describe('a policy with a rate', () => {
  test('lets so many calls through, retries included, and holds no slot while it waits', async () => {
    const clock = new ManualClock()
    const policy = createPolicy({
      clock,
      rate: { limit: 10, burst: 1 },
      bulkhead: { limit: 1 },
      retry: { maxAttempts: 3, backoff: () => 0 },
    })
    const startedMs: number[] = []
    const call = policy.execute(({ attempt }) => {
      startedMs.push(clock.monotonicMs())
      if (attempt < 3) throw new Error('again')
      return attempt
    })
    await clock.advance(50)
    expect(policy.bulkhead?.inProgress).toBe(0)
    await clock.advance(150)
    expect(await call).toBe(3)
    expect(startedMs).toEqual([0, 100, 200])
  })

  test('has it by key, and does not retry what it refuses', async () => {
    const rate = new RateLimiter({ limit: 1, queueLimit: 0, clock: new ManualClock() })
    const policy = createPolicy({ rate, retry: { maxAttempts: 2 } })
    expect(policy.rate).toBe(rate)
    expect(await policy.execute(() => 1, { rateKey: 'a' })).toBe(1)
    expect(await policy.execute(() => 2, { rateKey: 'b' })).toBe(2)
    const refused = await rejectionOf(policy.execute(() => 3, { rateKey: 'a' }))
    expect([refused, (refused as Error).cause]).toContainEqual(expect.any(RateLimitedError))
  })
})
