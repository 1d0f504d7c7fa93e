import { ConnectionPool, type PoolEventMap } from '@dharma/async/connection-pool'
import { ManualClock } from '@dharma/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { filledPool } from './filled-pool.ts'
import { TrackedFactory, follow, type Resource } from './tracked-factory.ts'

let clock: ManualClock
let factory: TrackedFactory

beforeEach(() => {
  clock = new ManualClock()
  factory = new TrackedFactory()
})

describe('age', () => {
  it.each([
    [0, 10_000],
    [1, 8_000],
  ])('ends an idle resource; a random number of %d means at %d ms', async (draw, lifetimeMs) => {
    const pool = await filledPool(factory, 2, {
      clock,
      maxLifetimeMs: 10_000,
      lifetimeJitterRatio: 0.2,
      idleTimeoutMs: Infinity,
      random: () => draw,
    })
    await clock.advance(lifetimeMs - 1)
    expect(pool.size).toBe(2)
    await clock.advance(101)
    expect(factory.destroyed).toEqual([
      { id: 1, reason: 'lifetime' },
      { id: 2, reason: 'lifetime' },
    ])
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends a leased resource when it comes back, and its waiter gets a new one', async () => {
    await using pool = new ConnectionPool(factory, { clock, maxLifetimeMs: 1_000, max: 1 })
    const lease = await pool.acquire()
    await clock.advance(5_000)
    expect(factory.destroyed).toEqual([])
    const next = follow(pool.acquire())
    lease.release()
    await clock.advance(0)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'lifetime' }])
    expect(next.value?.resource.id).toBe(2)
  })

  it('is seen by the first caller after a silence, even if no timer could run meanwhile', async () => {
    await using pool = await filledPool(factory, 1, {
      clock,
      maxLifetimeMs: 10_000,
      lifetimeJitterRatio: 0,
    })
    await clock.advance(300)
    const afterBlockMs = clock.monotonicMs() + 10_000
    clock.monotonicMs = () => afterBlockMs
    expect((await pool.acquire()).resource.id).toBe(2)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'lifetime' }])
  })
})

describe('idle time', () => {
  it('closes what is above min, longest idle first', async () => {
    await using pool = await filledPool(factory, 5, { clock, min: 2, idleTimeoutMs: 1_000 })
    const busy = await pool.acquire()
    expect(busy.resource.id).toBe(5)
    await clock.advance(1_100)
    expect(factory.destroyed.map(({ id }) => id)).toEqual([1, 2, 3])
    busy.release()
    await clock.advance(60_000)
    expect(pool.stats()).toMatchObject({ size: 2, idle: 2 })
  })

  it('lets a pool without work sleep: no timer once nothing is due', async () => {
    await using pool = await filledPool(factory, 3, {
      clock,
      idleTimeoutMs: 1_000,
      maxLifetimeMs: Infinity,
    })
    await clock.advance(5_000)
    expect(pool.size).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('counts anew when min is lowered', async () => {
    await using pool = await filledPool(factory, 3, {
      clock,
      min: 3,
      idleTimeoutMs: 1_000,
      maxLifetimeMs: Infinity,
    })
    await clock.advance(10_000)
    expect(pool.size).toBe(3)
    expect(clock.pendingTimers).toBe(0)
    pool.resize({ min: 1 })
    await clock.advance(1_000)
    expect(pool.size).toBe(1)
  })

  it('replaces what died below min', async () => {
    await using pool = await filledPool(factory, 2, { clock, min: 2 })
    for (const resource of Array.from(factory.open)) pool.invalidate(resource)
    await clock.advance(0)
    expect(pool.stats()).toMatchObject({ size: 2, idle: 2 })
    expect([...factory.open].map(({ id }) => id)).toEqual([3, 4])
  })
})

describe('leak detection', () => {
  it('names the borrower, once a lease', async () => {
    await using pool = new ConnectionPool(factory, { clock, leakAfterMs: 1_000, max: 1 })
    const leaks: PoolEventMap<Resource>['leak'][] = []
    pool.on('leak', (event) => leaks.push(event))
    async function forgetfulBorrower(): Promise<() => void> {
      const lease = await pool.acquire()
      return () => lease.release()
    }
    const giveBack = await forgetfulBorrower()
    await clock.advance(900)
    expect(leaks).toEqual([])
    await clock.advance(5_000)
    expect(leaks).toHaveLength(1)
    expect(leaks[0]?.stack).toContain('forgetfulBorrower')
    expect(leaks[0]?.heldMs).toBeGreaterThanOrEqual(1_000)
    expect(pool.stats().totals.leaked).toBe(1)

    async function secondBorrower(): Promise<void> {
      await pool.acquire()
    }
    const waiting = secondBorrower()
    giveBack()
    await waiting
    await clock.advance(1_500)
    expect(leaks.map(({ stack }) => stack.includes('secondBorrower'))).toEqual([false, true])
  })

  it('follows synchronous leases too, and is quiet about short ones', async () => {
    await using pool = await filledPool(factory, 1, { clock, leakAfterMs: 1_000 })
    let leaks = 0
    pool.on('leak', () => (leaks += 1))
    const lease = pool.tryAcquire()
    await clock.advance(800)
    lease?.release()
    await clock.advance(10_000)
    expect(leaks).toBe(0)
    pool.tryAcquire()
    await clock.advance(1_300)
    expect(leaks).toBe(1)
  })
})
