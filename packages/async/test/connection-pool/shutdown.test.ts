import { ConnectionPool } from '@dharma/async/connection-pool'
import { ClosedError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { TrackedFactory, follow } from './tracked-factory.ts'

let clock: ManualClock
let factory: TrackedFactory

beforeEach(() => {
  clock = new ManualClock()
  factory = new TrackedFactory()
})

describe('drain', () => {
  it('serves those who wait, refuses newcomers, and ends when all is returned', async () => {
    const pool = new ConnectionPool(factory, { clock, max: 1, name: 'orders' })
    const lease = await pool.acquire()
    const waiter = follow(pool.acquire())
    const drained = follow(pool.drain({ deadlineMs: 1_000 }))
    await expect(pool.acquire()).rejects.toThrow(ClosedError)
    expect(pool.tryAcquire()).toBeUndefined()
    expect(pool.health()).toEqual({ status: 'down', reason: 'orders is draining' })
    lease.release()
    await clock.advance(10)
    expect(drained.state).toBe('pending')
    waiter.value?.release()
    await clock.advance(0)
    expect(drained.value).toEqual({ cut: 0, refused: 0 })
    expect(factory.open.size).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('closes idle resources at once', async () => {
    const pool = new ConnectionPool(factory, { clock, min: 3 })
    await pool.connect()
    await expect(pool.drain()).resolves.toEqual({ cut: 0, refused: 0 })
    expect(factory.destroyed.map(({ reason }) => reason)).toEqual(['closed', 'closed', 'closed'])
  })

  it('opens what waiters still need', async () => {
    const pool = new ConnectionPool(factory, { clock, max: 2, createConcurrency: 1, min: 2 })
    const waiters = [follow(pool.acquire()), follow(pool.acquire())]
    const drained = follow(pool.drain())
    await clock.advance(0)
    for (const waiter of waiters) waiter.value?.release()
    await clock.advance(0)
    expect(drained.value).toEqual({ cut: 0, refused: 0 })
  })

  it('cuts off what is out at the deadline', async () => {
    const pool = new ConnectionPool(factory, { clock, max: 2 })
    const leases = [await pool.acquire(), await pool.acquire()]
    const waiter = follow(pool.acquire())
    const drained = follow(pool.drain({ deadlineMs: 1_000 }))
    await clock.advance(999)
    expect(drained.state).toBe('pending')
    await clock.advance(1)
    expect(drained.value).toEqual({ cut: 2, refused: 1 })
    expect(waiter.error).toBeInstanceOf(ClosedError)
    expect(factory.open.size).toBe(0)
    for (const lease of leases) lease.release()
    expect(pool.stats()).toMatchObject({ size: 0, leased: 0, waiting: 0 })
  })

  it('ends its grace when the signal aborts', async () => {
    const pool = new ConnectionPool(factory, { clock })
    await pool.acquire()
    const grace = new AbortController()
    const drained = follow(pool.drain({ signal: grace.signal, deadlineMs: Infinity }))
    await clock.advance(60_000)
    expect(drained.state).toBe('pending')
    grace.abort()
    await clock.advance(0)
    expect(drained.value).toEqual({ cut: 1, refused: 0 })
  })

  it('with a signal that has aborted has no grace', async () => {
    const pool = new ConnectionPool(factory, { clock })
    await pool.acquire()
    await expect(pool.drain({ signal: AbortSignal.abort() })).resolves.toEqual({
      cut: 1,
      refused: 0,
    })
  })

  it('has one outcome, however often it is asked for', async () => {
    const pool = new ConnectionPool(factory, { clock })
    expect(pool.drain()).toBe(pool.drain())
    await pool.drain()
    await expect(pool.close()).resolves.toBeUndefined()
  })

  it('refuses a deadline that is none, and the pool stays open', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    expect(() => pool.drain({ deadlineMs: 0 })).toThrow(
      new RangeError('deadlineMs must be above 0, got 0'),
    )
    await expect(pool.acquire()).resolves.toBeDefined()
  })

  it('after close resolves', async () => {
    const pool = new ConnectionPool(factory, { clock })
    await pool.close()
    await expect(pool.drain()).resolves.toEqual({ cut: 0, refused: 0 })
  })
})

describe('close', () => {
  it('settles everything at once and leaves no timer', async () => {
    const pool = new ConnectionPool(factory, { clock, max: 2 })
    const lease = await pool.acquire()
    factory.creating = 'hangs'
    const waiters = [follow(pool.acquire()), follow(pool.acquire())]
    await clock.advance(0)
    expect(pool.stats().creating).toBe(1)
    await pool.close()
    for (const { error } of waiters) expect(error).toBeInstanceOf(ClosedError)
    expect(factory.contexts[1]?.signal.aborted).toBe(true)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'closed' }])
    expect(clock.pendingTimers).toBe(0)
    expect(pool.stats()).toMatchObject({ totals: { refused: 2, createFailed: 0 } })
    lease.release()
    expect(factory.destroyed).toHaveLength(1)
  })

  it('destroys a resource that arrives after it', async () => {
    factory.creating = 'hangs'
    const pool = new ConnectionPool(factory, { clock })
    const waiter = follow(pool.acquire())
    await pool.close()
    factory.pending[0]?.settle(true)
    await clock.advance(0)
    expect(waiter.error).toBeInstanceOf(ClosedError)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'late' }])
  })

  it('waits for resources that are being destroyed, but not for ever', async () => {
    const pool = new ConnectionPool(factory, { clock, destroyTimeoutMs: 700 })
    ;(await pool.acquire()).release()
    factory.destroying = 'hangs'
    const closed = follow(pool.close())
    await clock.advance(699)
    expect(closed.state).toBe('pending')
    await clock.advance(1)
    expect(closed.state).toBe('resolved')
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends the pauses of a failing factory', async () => {
    factory.creating = 'fails'
    const pool = new ConnectionPool(factory, { clock, min: 1 })
    await expect(pool.connect()).rejects.toThrow('could not open')
    expect(clock.pendingTimers).toBeGreaterThan(0)
    await pool[Symbol.asyncDispose]()
    expect(clock.pendingTimers).toBe(0)
    expect(() => pool.resize({ max: 3 })).not.toThrow()
    await clock.advance(60_000)
    expect(factory.attempts).toBe(1)
  })

  it('lets a resource being validated go', async () => {
    const validate = (): Promise<boolean> => new Promise(() => {})
    const pool = new ConnectionPool(Object.assign(factory, { validate }), {
      clock,
      validateAfterIdleMs: 0,
    })
    ;(await pool.acquire()).release()
    const waiter = follow(pool.acquire())
    await pool.close()
    expect(waiter.error).toBeInstanceOf(ClosedError)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'closed' }])
  })
})
