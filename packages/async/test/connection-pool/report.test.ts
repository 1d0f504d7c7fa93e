import {
  ConnectionPool,
  type ConnectionPoolOptions,
  type Scalable,
} from '@dharma/async/connection-pool'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import { TrackedFactory, follow, type Resource } from './tracked-factory.ts'

let clock: ManualClock
let factory: TrackedFactory

beforeEach(() => {
  clock = new ManualClock()
  factory = new TrackedFactory()
})

describe('stats', () => {
  it('count what there is and what was', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 2 })
    const lease = await pool.acquire()
    await pool.acquire()
    const waiter = follow(pool.acquire())
    expect(pool.stats()).toMatchObject({
      size: 2,
      idle: 0,
      leased: 2,
      waiting: 1,
      min: 0,
      max: 2,
      totals: { acquired: 2, waited: 2, created: 2, destroyed: 0 },
    })
    lease.release()
    await clock.advance(0)
    expect(waiter.state).toBe('resolved')
    expect(pool.stats()).toMatchObject({ waiting: 0, totals: { acquired: 3, waited: 3 } })
  })

  it('know the quantiles of waits, those of 0 included', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1 })
    ;(await pool.acquire()).release()
    for (let call = 0; call < 79; call++) (await pool.acquire()).release()
    for (let call = 0; call < 20; call++) {
      const held = await pool.acquire()
      const waiter = pool.acquire()
      await clock.advance(100)
      held.release()
      ;(await waiter).release()
    }
    const { p50, p95, p99 } = pool.stats().waitMs
    expect(p50).toBe(0)
    expect(p95).toBeGreaterThan(94)
    expect(p95).toBeLessThan(106)
    expect(p99).toBe(p95)
    expect(pool.load().waitP95Ms).toBe(p95)
    await clock.advance(30_000)
    expect(pool.stats().waitMs).toEqual({ p50: 0, p95: 0, p99: 0 })
  })

  it('estimate the waits of a crowd from a sample', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1, acquireTimeoutMs: Infinity })
    const held = await pool.acquire()
    const crowd = Array.from({ length: 2_000 }, () => pool.use(() => {}))
    await clock.advance(50)
    held.release()
    await Promise.all(crowd)
    const { p50, p99 } = pool.stats().waitMs
    expect(p50).toBeGreaterThan(46)
    expect(p99).toBeLessThan(54)
  })
})

describe('load', () => {
  it('tells demand, service time and use to a scaler', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 10 })
    // 20 leases a second of 200 ms each keep 4 resources busy.
    for (let call = 0; call < 600; call++) {
      void pool.use(() => clock.sleep(200))
      await clock.advance(50)
    }
    const load = pool.load()
    expect(load.arrivalsPerSecond).toBeCloseTo(20, 0)
    expect(load.meanLeased).toBeCloseTo(4, 0)
    expect(load.serviceTimeMs).toBeGreaterThan(180)
    expect(load.serviceTimeMs).toBeLessThan(220)
    expect(load.utilization).toBeCloseTo(0.4, 1)
    await clock.advance(60_000)
    expect(pool.load().arrivalsPerSecond).toBeLessThan(0.01)
  })

  it('is zero before anything came', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    expect(pool.load()).toEqual({
      arrivalsPerSecond: 0,
      meanLeased: 0,
      serviceTimeMs: 0,
      utilization: 0,
      waiting: 0,
      waitP95Ms: 0,
    })
  })

  it('lets a scaler drive the pool through the small interface', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 2 })
    expectTypeOf(pool).toExtend<Scalable>()
    const target: Scalable = pool
    const waiters = Array.from({ length: 8 }, () => follow(pool.acquire()))
    await clock.advance(0)
    if (target.load().waiting > 0) target.resize({ max: target.size + target.load().waiting })
    await clock.advance(0)
    expect(waiters.every(({ state }) => state === 'resolved')).toBe(true)
    expect(target.limits).toEqual({ min: 0, max: 8 })
  })
})

describe('health', () => {
  it('is up, degraded or down', async () => {
    const pool = new ConnectionPool(factory, { clock, max: 2, maxWaiting: 1, name: 'orders' })
    expect(pool.health()).toEqual({ status: 'up' })
    await pool.acquire()
    factory.creating = 'fails'
    const waiter = follow(pool.acquire())
    await clock.advance(0)
    expect(pool.health()).toMatchObject({
      status: 'degraded',
      reason: 'orders cannot open resources',
      cause: { message: 'attempt 2 was refused' },
    })
    factory.creating = 'works'
    await clock.advance(10_000)
    expect(waiter.state).toBe('resolved')
    expect(pool.health()).toEqual({ status: 'up' })
    void follow(pool.acquire())
    expect(pool.health()).toEqual({ status: 'degraded', reason: 'the queue of orders is full' })
    await pool.close()
    expect(pool.health()).toEqual({ status: 'down', reason: 'orders is closed' })
  })
})

describe('events', () => {
  it('tell of each resource from its beginning to its end', async () => {
    const pool = new ConnectionPool(factory, { clock })
    const seen: unknown[] = []
    pool.on('created', ({ resource, tookMs }) => seen.push(['created', resource.id, tookMs]))
    pool.on('destroyed', ({ resource, reason, ageMs }) => {
      seen.push(['destroyed', resource.id, reason, ageMs])
    })
    factory.creating = 'hangs'
    const lease = follow(pool.acquire())
    await clock.advance(30)
    factory.pending[0]?.settle(true)
    await clock.advance(100)
    lease.value?.destroy()
    expect(seen).toEqual([
      ['created', 1, 30],
      ['destroyed', 1, 'borrower', 100],
    ])
    await pool.close()
  })

  it('end with the subscription, one by one', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    let calls = 0
    const listener = (): void => void (calls += 1)
    const stop = pool.on('created', listener)
    pool.on('created', listener)
    await pool.acquire()
    expect(calls).toBe(2)
    stop()
    await pool.acquire()
    expect(calls).toBe(3)
  })

  it('do not let a listener that throws disturb the pool', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    await using pool = new ConnectionPool(factory, { clock })
    pool.on('created', () => {
      throw new Error('the log is full')
    })
    await expect(pool.acquire()).resolves.toBeDefined()
    expect(warned).toHaveBeenCalledWith(
      "a listener of the pool event 'created' threw: Error: the log is full",
    )
  })
})

describe('metrics', () => {
  it('show the pool under its name', async () => {
    const metrics = createMetrics()
    const pool = new ConnectionPool(factory, { clock, metrics, name: 'orders', max: 2 })
    const other = new ConnectionPool(new TrackedFactory(), { clock, metrics, name: 'users' })
    await other.acquire()
    const lease = await pool.acquire()
    await pool.acquire()
    void follow(pool.acquire())
    await clock.advance(250)
    lease.release()
    await clock.advance(100)
    const text = await metrics.expose()
    expect(text).toContain('dharma_pool_acquired_total{pool="orders"} 3')
    expect(text).toContain('dharma_pool_acquired_total{pool="users"} 1')
    expect(text).toContain('dharma_pool_resources{pool="orders",state="leased"} 2')
    expect(text).toContain('dharma_pool_max{pool="orders"} 2')
    expect(text).toMatch(/dharma_pool_wait_seconds_count\{pool="orders"\} 3/)
    await pool.close()
    await other.close()
    expect(await metrics.expose()).toContain(
      'dharma_pool_resources{pool="orders",state="leased"} 0',
    )
  })
})

describe('options', () => {
  it.each<[ConnectionPoolOptions, string]>([
    [{ max: 0 }, 'max must be a whole number of at least 1, got 0'],
    [{ max: 1.5 }, 'max must be a whole number of at least 1, got 1.5'],
    [{ max: Infinity }, 'max must be a whole number of at least 1, got Infinity'],
    [{ min: -1 }, 'min must be a whole number of at least 0, got -1'],
    [{ min: 11 }, 'min must be at most max (10), got 11'],
    [{ maxWaiting: -1 }, 'maxWaiting must be a whole number of at least 0, got -1'],
    [{ createConcurrency: 0 }, 'createConcurrency must be a whole number of at least 1, got 0'],
    [{ acquireTimeoutMs: 0 }, 'acquireTimeoutMs must be above 0, got 0'],
    [{ createTimeoutMs: Number.NaN }, 'createTimeoutMs must be above 0, got NaN'],
    [{ checkTimeoutMs: -1 }, 'checkTimeoutMs must be above 0, got -1'],
    [{ validateAfterIdleMs: -1 }, 'validateAfterIdleMs must be at least 0, got -1'],
    [{ lifetimeJitterRatio: 2 }, 'lifetimeJitterRatio must be from 0 to 1, got 2'],
    [
      { createBackoffBaseMs: 100, createBackoffMaxMs: 50 },
      'createBackoffMaxMs must be finite and at least createBackoffBaseMs (100), got 50',
    ],
    [
      { onCreateFailure: 'panic' as 'wait' },
      "onCreateFailure must be 'wait' or 'reject', got 'panic'",
    ],
  ])('%o are refused', (options, message) => {
    expect(() => new ConnectionPool(factory, options)).toThrow(new RangeError(message))
  })

  it('have defaults that work on the machine clock', async () => {
    await using pool = new ConnectionPool<Resource>(factory, { maxWaiting: Infinity })
    await expect(pool.use(({ id }) => id)).resolves.toBe(1)
    expect(pool.name).toBe('pool')
    expect(pool.limits).toEqual({ min: 0, max: 10 })
  })
})
