import {
  AcquireTimeoutError,
  ConnectionPool,
  LeaseEndedError,
  PoolQueueFullError,
  type Lease,
} from '@dharma/async/connection-pool'
import { ClosedError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { TrackedFactory, follow, type Resource } from './tracked-factory.ts'

let clock: ManualClock
let factory: TrackedFactory

beforeEach(() => {
  clock = new ManualClock()
  factory = new TrackedFactory()
})

describe('acquire', () => {
  it('opens nothing before the first caller comes', async () => {
    await using pool = new ConnectionPool(factory, { clock, min: 3 })
    await clock.advance(10_000)
    expect(factory.attempts).toBe(0)
    await pool.acquire()
    await clock.advance(0)
    expect(factory.attempts).toBe(3)
  })

  it('lends the resource that was used last', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    const leases = [await pool.acquire(), await pool.acquire(), await pool.acquire()]
    for (const lease of leases) lease.release()
    expect((await pool.acquire()).resource.id).toBe(3)
    expect((await pool.acquire()).resource.id).toBe(2)
  })

  it('serves waiters first come, first served', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 2 })
    const held = [await pool.acquire(), await pool.acquire()]
    const served: number[] = []
    const waiters = Array.from({ length: 10 }, async (_, index) => {
      using lease = await pool.acquire()
      served.push(index)
      await clock.sleep(1)
      expect(lease.isEnded).toBe(false)
    })
    for (const lease of held) lease.release()
    await clock.advance(10)
    await Promise.all(waiters)
    expect(served).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('lets no newcomer overtake a waiter, synchronous ones included', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1 })
    const held = await pool.acquire()
    const waiter = follow(pool.acquire())
    held.release()
    expect(pool.tryAcquire()).toBeUndefined()
    const newcomer = follow(pool.acquire())
    await clock.advance(0)
    expect(waiter.state).toBe('resolved')
    expect(newcomer.state).toBe('pending')
  })

  it('rejects at the deadline with what is known, and leaves the queue', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1, name: 'orders' })
    await pool.acquire()
    const early = follow(pool.acquire({ timeoutMs: 50 }))
    const late = follow(pool.acquire({ timeoutMs: 80 }))
    await clock.advance(49)
    expect(early.state).toBe('pending')
    await clock.advance(1)
    expect(early.error).toBeInstanceOf(AcquireTimeoutError)
    expect(early.error).toMatchObject({
      code: 'DHARMA_POOL_ACQUIRE_TIMEOUT',
      pool: 'orders',
      timeoutMs: 50,
      leased: 1,
      waiting: 1,
    })
    await clock.advance(30)
    expect(late.state).toBe('rejected')
    expect(pool.stats()).toMatchObject({ waiting: 0, totals: { timedOut: 2 } })
  })

  it('keeps a long deadline to within a tick, in a crowd too', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1, acquireTimeoutMs: 20_000 })
    await pool.acquire()
    const crowd = Array.from({ length: 500 }, () => follow(pool.acquire()))
    await clock.advance(19_999)
    expect(new Set(crowd.map(({ state }) => state))).toEqual(new Set(['pending']))
    await clock.advance(101)
    expect(new Set(crowd.map(({ state }) => state))).toEqual(new Set(['rejected']))
  })

  it('ends the wait with the reason of the signal', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1 })
    const held = await pool.acquire()
    const caller = new AbortController()
    const aborted = follow(pool.acquire({ signal: caller.signal }))
    const next = follow(pool.acquire({ signal: new AbortController().signal }))
    const reason = new Error('the request was cancelled')
    caller.abort(reason)
    await clock.advance(0)
    expect(aborted.error).toBe(reason)
    held.release()
    await clock.advance(0)
    expect(next.state).toBe('resolved')
    expect(pool.stats().totals.aborted).toBe(1)
  })

  it('takes no notice of a signal that aborts after the lease was given', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1 })
    const held = await pool.acquire()
    const caller = new AbortController()
    const waiter = follow(pool.acquire({ signal: caller.signal }))
    held.release()
    caller.abort()
    await clock.advance(60_000)
    expect(waiter.state).toBe('resolved')
    expect(pool.stats()).toMatchObject({ leased: 1, totals: { aborted: 0, timedOut: 0 } })
  })

  it('refuses a caller whose signal has aborted before', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    const reason = new Error('too late')
    await expect(pool.acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(factory.attempts).toBe(0)
  })

  it('refuses callers beyond maxWaiting', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1, maxWaiting: 2 })
    await pool.acquire()
    const waiters = [follow(pool.acquire()), follow(pool.acquire())]
    const refused = await pool.acquire().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(PoolQueueFullError)
    expect(refused).toMatchObject({ code: 'DHARMA_POOL_QUEUE_FULL', maxWaiting: 2 })
    expect(waiters.map(({ state }) => state)).toEqual(['pending', 'pending'])
    expect(pool.stats().totals.refused).toBe(1)
  })

  it('rejects a timeout that is none', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    await expect(pool.acquire({ timeoutMs: 0 })).rejects.toThrow(
      new RangeError('timeoutMs must be above 0, got 0'),
    )
    expect(pool.stats().waiting).toBe(0)
  })
})

describe('tryAcquire', () => {
  it('lends only what is idle and fresh', async () => {
    await using pool = new ConnectionPool(Object.assign(factory, { validate: () => true }), {
      clock,
      validateAfterIdleMs: 1_000,
    })
    expect(pool.tryAcquire()).toBeUndefined()
    expect(factory.attempts).toBe(0)
    const first = await pool.acquire()
    first.release()
    const second = pool.tryAcquire()
    expect(second?.resource.id).toBe(1)
    second?.release()
    await clock.advance(1_300)
    expect(pool.tryAcquire()).toBeUndefined()
    expect((await pool.acquire()).resource.id).toBe(1)
  })

  it('lends nothing once the pool is closed', async () => {
    const pool = new ConnectionPool(factory, { clock })
    ;(await pool.acquire()).release()
    await pool.close()
    expect(pool.tryAcquire()).toBeUndefined()
    await expect(pool.acquire()).rejects.toThrow(ClosedError)
  })
})

describe('a lease', () => {
  let pool: ConnectionPool<Resource>
  let lease: Lease<Resource>

  beforeEach(async () => {
    pool = new ConnectionPool(factory, { clock, max: 2, name: 'orders' })
    lease = await pool.acquire()
  })

  it('cannot be released twice, nor after it was destroyed', async () => {
    lease.release()
    expect(() => lease.release()).toThrow(LeaseEndedError)
    expect(() => lease.destroy()).toThrow(LeaseEndedError)
    expect(() => lease.resource).toThrow('resource was read on a lease of orders')
    const other = await pool.acquire()
    other.destroy()
    expect(() => other.release()).toThrow(LeaseEndedError)
  })

  it('that has ended cannot touch the lease of the next borrower', async () => {
    lease.release()
    const next = await pool.acquire()
    expect(() => lease.release()).toThrow(LeaseEndedError)
    expect(next.isEnded).toBe(false)
    const third = await pool.acquire()
    expect(third.resource).not.toBe(next.resource)
  })

  it('ends with its block, once', async () => {
    lease.release()
    {
      using scoped = await pool.acquire()
      expect(scoped.isEnded).toBe(false)
    }
    expect(pool.stats()).toMatchObject({ leased: 0, idle: 1 })
    {
      await using scoped = await pool.acquire()
      scoped.destroy()
    }
    expect(pool.stats()).toMatchObject({ leased: 0, idle: 0 })
  })

  it('that is destroyed makes room for a new resource at once', async () => {
    await pool.acquire()
    const waiter = follow(pool.acquire())
    lease.destroy(new Error('broken'))
    await clock.advance(0)
    expect(waiter.value?.resource.id).toBe(3)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'borrower' }])
  })
})

describe('use', () => {
  it('gives back what the function returns, and the resource', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    await expect(pool.use(({ id }) => Promise.resolve(id * 10))).resolves.toBe(10)
    expect(pool.stats()).toMatchObject({ leased: 0, idle: 1 })
  })

  it('keeps the resource after an error that is not fatal', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    const isFatal = (error: unknown): boolean => error instanceof TypeError
    const fail = (error: Error) => (): never => {
      throw error
    }
    await expect(pool.use(fail(new Error('no such row')), { isFatal })).rejects.toThrow('no such')
    expect(pool.stats().idle).toBe(1)
    await expect(pool.use(fail(new TypeError('reset')), { isFatal })).rejects.toThrow('reset')
    expect(pool.stats()).toMatchObject({ idle: 0, totals: { destroyed: 1 } })
  })

  it('lets the function end the lease itself', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    const broken = pool.use(
      (_, lease) => {
        lease.destroy()
        throw new Error('gone')
      },
      { isFatal: () => true },
    )
    await expect(broken).rejects.toThrow('gone')
    expect(pool.stats()).toMatchObject({ size: 0, totals: { destroyed: 1 } })
  })
})
