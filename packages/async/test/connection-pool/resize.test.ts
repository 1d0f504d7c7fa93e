import { ConnectionPool } from '@dharma/async/connection-pool'
import { ManualClock } from '@dharma/core/testing'
import { beforeEach, expect, it } from 'vitest'
import { TrackedFactory, follow } from './tracked-factory.ts'

let clock: ManualClock
let factory: TrackedFactory

beforeEach(() => {
  clock = new ManualClock()
  factory = new TrackedFactory()
})

it('raising max serves those who wait, at once and in order', async () => {
  await using pool = new ConnectionPool(factory, { clock, max: 1, createConcurrency: 1 })
  await pool.acquire()
  const waiters = Array.from({ length: 5 }, () => follow(pool.acquire()))
  pool.resize({ max: 4 })
  await clock.advance(0)
  expect(waiters.map(({ state }) => state)).toEqual([
    'resolved',
    'resolved',
    'resolved',
    'pending',
    'pending',
  ])
  expect(pool.limits).toEqual({ min: 0, max: 4 })
})

it('lowering max closes idle resources now and leased ones as they come back', async () => {
  await using pool = new ConnectionPool(factory, { clock, max: 6 })
  const leases = await Promise.all(Array.from({ length: 6 }, () => pool.acquire()))
  for (const lease of leases.slice(0, 3)) lease.release()
  pool.resize({ max: 2 })
  expect(pool.stats()).toMatchObject({ size: 3, idle: 0, leased: 3 })
  const waiter = follow(pool.acquire())
  leases[3]?.release()
  await clock.advance(0)
  expect(waiter.state).toBe('pending')
  leases[4]?.release()
  await clock.advance(0)
  expect(waiter.value?.resource.id).toBe(5)
  expect(factory.destroyed.every(({ reason }) => reason === 'surplus')).toBe(true)
})

it('a resource that arrives above a lowered max is closed', async () => {
  factory.creating = 'hangs'
  await using pool = new ConnectionPool(factory, { clock, max: 2 })
  const waiters = [follow(pool.acquire()), follow(pool.acquire())]
  pool.resize({ max: 1 })
  for (const attempt of Array.from(factory.pending)) attempt.settle(true)
  await clock.advance(0)
  expect(waiters.map(({ state }) => state)).toEqual(['resolved', 'pending'])
  expect(factory.destroyed).toEqual([{ id: 2, reason: 'surplus' }])
})

it('raising min opens resources, without callers', async () => {
  await using pool = new ConnectionPool(factory, { clock })
  await pool.connect()
  pool.resize({ min: 4 })
  await clock.advance(0)
  expect(pool.stats()).toMatchObject({ size: 4, idle: 4 })
})

it('limits that contradict each other are refused and change nothing', async () => {
  await using pool = new ConnectionPool(factory, { clock, min: 2, max: 5 })
  expect(() => pool.resize({ max: 1 })).toThrow(
    new RangeError('min must be at most max (1), got 2'),
  )
  expect(() => pool.resize({ max: 0 })).toThrow(
    new RangeError('max must be a whole number of at least 1, got 0'),
  )
  expect(() => pool.resize({ min: -1 })).toThrow(RangeError)
  expect(pool.limits).toEqual({ min: 2, max: 5 })
})

it('1,000 borrowers all get their turn, in order and never above max, however it is resized', async () => {
  await using pool = new ConnectionPool(factory, { clock, max: 10, acquireTimeoutMs: Infinity })
  const order: number[] = []
  let borrowed = 0
  let max = 10
  let allowed = 10
  const borrowers = Array.from({ length: 1_000 }, (_, index) =>
    pool.use(async () => {
      order.push(index)
      borrowed += 1
      expect(borrowed).toBeLessThanOrEqual(allowed)
      await clock.sleep(1 + (index % 7))
      borrowed -= 1
      // Resources above a lowered max leave only as they come back.
      allowed = Math.max(max, borrowed)
    }),
  )
  for (let step = 0; pool.stats().totals.acquired < 1_000; step++) {
    max = [1, 25, 3, 60, 2, 10, 40][step % 7] ?? 10
    allowed = Math.max(max, borrowed)
    pool.resize({ max })
    await clock.advance(5)
    expect(step).toBeLessThan(1_000)
  }
  await clock.advance(10)
  await Promise.all(borrowers)
  expect(order).toEqual(Array.from({ length: 1_000 }, (_, index) => index))
  expect(factory.mostOpen).toBeLessThanOrEqual(60)
})
