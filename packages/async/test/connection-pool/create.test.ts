import {
  AcquireTimeoutError,
  ConnectionPool,
  CreateFailedError,
} from '@dharma/async/connection-pool'
import { TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { TrackedFactory, follow, type Resource } from './tracked-factory.ts'

let clock: ManualClock
let factory: TrackedFactory
const random = (): number => 0.5

beforeEach(() => {
  clock = new ManualClock()
  factory = new TrackedFactory()
})

describe('a factory that fails', () => {
  it('is asked after growing pauses, and waiters learn the reason at their deadline', async () => {
    factory.creating = 'fails'
    await using pool = new ConnectionPool(factory, {
      clock,
      random,
      createConcurrency: 1,
      createBackoffBaseMs: 10,
      createBackoffMaxMs: 1_000,
    })
    const waiter = follow(pool.acquire({ timeoutMs: 10_000 }))
    const attemptsAt = [0]
    for (let ms = 1; ms < 10_000; ms++) {
      const before = factory.attempts
      await clock.advance(1)
      if (factory.attempts > before) attemptsAt.push(ms)
    }
    const pauses = attemptsAt.slice(1, 9).map((at, index) => at - (attemptsAt[index] ?? 0))
    expect(pauses).toEqual([8, 15, 30, 60, 120, 240, 480, 750])
    expect(factory.attempts).toBeLessThan(22)
    await clock.advance(1)
    expect(waiter.error).toBeInstanceOf(AcquireTimeoutError)
    expect((waiter.error as Error).cause).toMatchObject({
      message: expect.stringMatching(/refused/),
    })
  })

  it('gets one attempt after a pause, and all of them once that succeeds', async () => {
    factory.creating = 'fails'
    await using pool = new ConnectionPool(factory, { clock, random, createConcurrency: 3 })
    const waiters = Array.from({ length: 6 }, () => follow(pool.acquire()))
    await clock.advance(0)
    expect(factory.attempts).toBe(3)
    factory.creating = 'hangs'
    await clock.advance(10)
    expect(factory.pending).toHaveLength(1)
    factory.pending[0]?.settle(true)
    await clock.advance(0)
    expect(factory.pending).toHaveLength(3)
    factory.creating = 'works'
    for (const attempt of Array.from(factory.pending)) attempt.settle(true)
    await clock.advance(0)
    expect(waiters.map(({ state }) => state)).toEqual(Array(6).fill('resolved'))
  })

  it('does not lose a waiter when it fails every second time', async () => {
    let calls = 0
    const pool = new ConnectionPool<Resource>(
      {
        create: (context) => {
          factory.creating = calls++ % 2 === 0 ? 'fails' : 'works'
          return factory.create(context)
        },
        destroy: (resource, reason) => factory.destroy(resource, reason),
      },
      { clock, random, max: 5 },
    )
    const outcomes = Array.from({ length: 100 }, () =>
      follow(
        pool.use(async (_, lease) => {
          await clock.sleep(1)
          lease.destroy()
        }),
      ),
    )
    await clock.advance(20_000)
    expect(outcomes.every(({ state }) => state === 'resolved')).toBe(true)
    expect(factory.mostOpen).toBeLessThanOrEqual(5)
    await pool.close()
  })

  it('rejects waiters and newcomers at once on request, while nothing else can serve them', async () => {
    factory.creating = 'fails'
    await using pool = new ConnectionPool(factory, {
      clock,
      random,
      name: 'orders',
      createConcurrency: 1,
      createBackoffBaseMs: 100,
      onCreateFailure: 'reject',
    })
    const waiters = [follow(pool.acquire()), follow(pool.acquire())]
    await clock.advance(0)
    for (const { error } of waiters) {
      expect(error).toBeInstanceOf(CreateFailedError)
      expect(error).toMatchObject({ pool: 'orders', failures: 1, retryAfterMs: 75 })
      expect((error as Error).cause).toMatchObject({ message: 'attempt 1 was refused' })
    }
    await expect(pool.acquire()).rejects.toThrow(CreateFailedError)
    expect(factory.attempts).toBe(1)
    factory.creating = 'works'
    await clock.advance(75)
    await expect(pool.acquire()).resolves.toBeDefined()
  })

  it('does not reject waiters who can be served by a resource that is out', async () => {
    await using pool = new ConnectionPool(factory, { clock, random, onCreateFailure: 'reject' })
    const lease = await pool.acquire()
    factory.creating = 'fails'
    const waiter = follow(pool.acquire())
    await clock.advance(50)
    expect(waiter.state).toBe('pending')
    lease.release()
    await clock.advance(0)
    expect(waiter.state).toBe('resolved')
  })

  it('is probed without callers, so that health recovers', async () => {
    factory.creating = 'fails'
    await using pool = new ConnectionPool(factory, { clock, random, onCreateFailure: 'reject' })
    await expect(Promise.all([pool.acquire(), clock.advance(0)])).rejects.toThrow(CreateFailedError)
    expect(pool.health()).toMatchObject({ status: 'down', cause: { message: /refused/ } })
    factory.creating = 'works'
    await clock.advance(20_000)
    expect(pool.health()).toEqual({ status: 'up' })
    expect(pool.size).toBe(1)
  })

  it('may throw without a promise, and anything', async () => {
    const errors: Error[] = []
    await using pool = new ConnectionPool<Resource>(
      {
        create: () => {
          throw 'no route'
        },
        destroy() {},
      },
      { clock, random },
    )
    pool.on('error', ({ error }) => errors.push(error))
    const waiter = follow(pool.acquire({ timeoutMs: 5 }))
    await clock.advance(5)
    expect(waiter.error).toMatchObject({ cause: { message: 'a non-error was thrown: no route' } })
    expect(errors.length).toBeGreaterThan(0)
  })
})

describe('a factory that hangs', () => {
  it('has its attempts given up, and what arrives late is destroyed', async () => {
    factory.creating = 'hangs'
    await using pool = new ConnectionPool(factory, { clock, random, createTimeoutMs: 100, max: 1 })
    const waiter = follow(pool.acquire())
    await clock.advance(100)
    const [context] = factory.contexts
    expect(context?.signal.aborted).toBe(true)
    expect(context?.signal.reason).toBeInstanceOf(TimeoutError)
    expect(pool.stats()).toMatchObject({ totals: { createFailed: 1 } })
    factory.creating = 'works'
    await clock.advance(10)
    expect(waiter.state).toBe('resolved')
    factory.pending[0]?.settle(true)
    await clock.advance(0)
    expect(factory.destroyed).toMatchObject([{ reason: 'late' }])
    expect(pool.stats()).toMatchObject({ size: 1, creating: 0 })
  })

  it('may fail late without harm', async () => {
    factory.creating = 'hangs'
    await using pool = new ConnectionPool(factory, { clock, random, createTimeoutMs: 100 })
    const waiter = follow(pool.acquire())
    await clock.advance(100)
    factory.pending[0]?.settle(false)
    factory.creating = 'works'
    await clock.advance(10)
    expect(waiter.state).toBe('resolved')
    expect(pool.stats().totals.createFailed).toBe(1)
  })

  it('never has more attempts than createConcurrency, whatever the demand', async () => {
    factory.creating = 'hangs'
    await using pool = new ConnectionPool(factory, { clock, max: 50, createConcurrency: 4 })
    const waiters = Array.from({ length: 50 }, () => follow(pool.acquire()))
    await clock.advance(0)
    expect(factory.pending).toHaveLength(4)
    while (factory.pending.length > 0) {
      factory.pending[0]?.settle(true)
      await clock.advance(0)
      expect(factory.pending.length).toBeLessThanOrEqual(4)
    }
    expect(waiters.every(({ state }) => state === 'resolved')).toBe(true)
  })

  it('opens no more than are wanted when waiters are served otherwise', async () => {
    factory.creating = 'works'
    await using pool = new ConnectionPool(factory, { clock })
    const lease = await pool.acquire()
    factory.creating = 'hangs'
    const waiter = follow(pool.acquire())
    lease.release()
    await clock.advance(0)
    expect(waiter.state).toBe('resolved')
    expect(factory.pending).toHaveLength(1)
    factory.pending[0]?.settle(true)
    await clock.advance(0)
    expect(pool.stats()).toMatchObject({ idle: 1, leased: 1, creating: 0 })
  })
})

describe('a resource', () => {
  it('that is given twice is refused and stays with its borrower', async () => {
    const only: Resource = { id: 1 }
    const destroyed: Resource[] = []
    await using pool = new ConnectionPool<Resource>(
      { create: () => only, destroy: (resource) => void destroyed.push(resource) },
      { clock, random },
    )
    const errors: Error[] = []
    pool.on('error', ({ error }) => errors.push(error))
    const lease = await pool.acquire()
    const second = follow(pool.acquire({ timeoutMs: 20 }))
    await clock.advance(20)
    expect(second.state).toBe('rejected')
    expect(errors[0]).toEqual(new TypeError('the factory of pool gave the same resource twice'))
    expect(destroyed).toEqual([])
    expect(lease.resource).toBe(only)
  })

  it('that dies while it is opened is destroyed, and the attempt has failed', async () => {
    let attempts = 0
    await using pool = new ConnectionPool<Resource>(
      {
        create: (context) => {
          attempts += 1
          if (attempts === 1) context.onDead(new Error('reset by peer'))
          return factory.create(context)
        },
        destroy: (resource, reason) => factory.destroy(resource, reason),
      },
      { clock, random },
    )
    const waiter = follow(pool.acquire())
    await clock.advance(0)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'dead' }])
    await clock.advance(10)
    expect(waiter.value?.resource.id).toBe(2)
  })

  it('that is invalidated by a listener of its creation is not lent', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    const stop = pool.on('created', ({ resource }) => {
      stop()
      pool.invalidate(resource)
    })
    expect((await pool.acquire()).resource.id).toBe(2)
  })
})

describe('connect', () => {
  it('opens min resources', async () => {
    await using pool = new ConnectionPool(factory, { clock, min: 3 })
    await pool.connect()
    expect(pool.stats()).toMatchObject({ size: 3, idle: 3 })
  })

  it('tells why it could not, and the pool goes on trying', async () => {
    factory.creating = 'fails'
    await using pool = new ConnectionPool(factory, { clock, random, min: 2 })
    const connected = pool.connect()
    await expect(connected).rejects.toThrow(CreateFailedError)
    await expect(connected).rejects.toMatchObject({ cause: { message: 'attempt 1 was refused' } })
    factory.creating = 'works'
    await clock.advance(100)
    expect(pool.size).toBe(2)
    await expect(pool.connect()).resolves.toBeUndefined()
  })

  it('ends with its signal or with the pool', async () => {
    factory.creating = 'hangs'
    const pool = new ConnectionPool(factory, { clock, min: 1 })
    const caller = new AbortController()
    const reason = new Error('stop')
    const first = follow(pool.connect({ signal: caller.signal }))
    const second = follow(pool.connect())
    caller.abort(reason)
    await clock.advance(0)
    expect(first.error).toBe(reason)
    expect(second.state).toBe('pending')
    await expect(pool.connect({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await pool.close()
    expect(second.error).toMatchObject({ code: 'DHARMA_CLOSED' })
    await expect(pool.connect()).rejects.toMatchObject({ code: 'DHARMA_CLOSED' })
  })
})
