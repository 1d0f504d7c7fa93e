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

describe('validation', () => {
  it('happens only after the idle time', async () => {
    let validated = 0
    const validate = (): Promise<boolean> => Promise.resolve(++validated > 0)
    await using pool = await filledPool(
      factory,
      1,
      { clock, validateAfterIdleMs: 1_000 },
      { validate },
    )
    await clock.advance(700)
    await pool.use(() => {})
    expect(validated).toBe(0)
    await clock.advance(1_200)
    await pool.use(() => {})
    expect(validated).toBe(1)
    await pool.use(() => {})
    expect(validated).toBe(1)
  })

  it('after 0 ms of idling is validation at every lease', async () => {
    let validated = 0
    const validate = (): boolean => ++validated > 0
    await using pool = await filledPool(factory, 1, { clock, validateAfterIdleMs: 0 }, { validate })
    await pool.use(() => {})
    await pool.use(() => {})
    expect(validated).toBe(2)
    expect(pool.tryAcquire()).toBeUndefined()
  })

  it.each([
    ['says no', () => false],
    ['says no later', () => Promise.resolve(false)],
    ['fails', () => Promise.reject(new Error('reset by peer'))],
    [
      'throws',
      (): boolean => {
        throw new Error('reset by peer')
      },
    ],
  ])('that %s replaces the resource', async (_, validate) => {
    await using pool = await filledPool(
      factory,
      2,
      { clock, validateAfterIdleMs: 1_000, max: 2 },
      { validate },
    )
    await clock.advance(1_300)
    const lease = follow(pool.acquire())
    await clock.advance(0)
    expect(factory.destroyed).toEqual([
      { id: 2, reason: 'invalid' },
      { id: 1, reason: 'invalid' },
    ])
    expect(lease.value?.resource.id).toBe(3)
    expect(pool.stats().totals.invalid).toBe(2)
  })

  it('that hangs is given up, and the resource destroyed', async () => {
    const errors: PoolEventMap<Resource>['error'][] = []
    const options = { clock, validateAfterIdleMs: 1_000, checkTimeoutMs: 300, max: 1 }
    await using pool = await filledPool(factory, 1, options, {
      validate: () => new Promise(() => {}),
    })
    pool.on('error', (event) => errors.push(event))
    await clock.advance(1_300)
    const lease = follow(pool.acquire())
    await clock.advance(299)
    expect(lease.state).toBe('pending')
    expect(pool.stats()).toMatchObject({ checking: 1, size: 1 })
    await clock.advance(1)
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'invalid' }])
    expect(lease.value?.resource.id).toBe(2)
    expect(errors).toMatchObject([{ operation: 'validate', error: { code: 'DHARMA_TIMEOUT' } }])
  })

  it('keeps the order of the callers who wait for it', async () => {
    const answers: ((isValid: boolean) => void)[] = []
    const validate = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve))
    await using pool = await filledPool(
      factory,
      2,
      { clock, validateAfterIdleMs: 1_000, max: 2 },
      { validate },
    )
    await clock.advance(1_300)
    const order: string[] = []
    const hold = async (name: string): Promise<void> => {
      await pool.acquire()
      order.push(name)
    }
    void hold('first')
    void hold('second')
    await clock.advance(0)
    expect(answers).toHaveLength(2)
    answers[1]?.(true)
    await clock.advance(0)
    expect(order).toEqual(['first'])
    answers[0]?.(true)
    await clock.advance(0)
    expect(order).toEqual(['first', 'second'])
  })

  it('of a resource whose caller has gone leaves it idle', async () => {
    const answer = Promise.withResolvers<boolean>()
    const validate = (): Promise<boolean> => answer.promise
    await using pool = await filledPool(
      factory,
      1,
      { clock, validateAfterIdleMs: 1_000 },
      { validate },
    )
    await clock.advance(1_300)
    const caller = new AbortController()
    const gone = follow(pool.acquire({ signal: caller.signal }))
    caller.abort()
    answer.resolve(true)
    await clock.advance(0)
    expect(gone.state).toBe('rejected')
    expect(pool.stats()).toMatchObject({ idle: 1, checking: 0 })
  })
})

describe('reset', () => {
  it('runs before the next borrower has the resource', async () => {
    const finished = Promise.withResolvers<void>()
    const reset = (): Promise<void> => finished.promise
    await using pool = new ConnectionPool(Object.assign(factory, { reset }), { clock, max: 1 })
    const lease = await pool.acquire()
    const next = follow(pool.acquire())
    lease.release()
    await clock.advance(0)
    expect(next.state).toBe('pending')
    expect(pool.stats()).toMatchObject({ checking: 1, leased: 0 })
    finished.resolve()
    await clock.advance(0)
    expect(next.value?.resource.id).toBe(1)
  })

  it('that is synchronous passes the resource on at once', async () => {
    let resets = 0
    const reset = (): void => void (resets += 1)
    await using pool = await filledPool(factory, 1, { clock }, { reset })
    expect(resets).toBe(1)
    expect(pool.tryAcquire()?.resource.id).toBe(1)
  })

  it('that fails or hangs ends the resource', async () => {
    const outcomes = [Promise.reject(new Error('transaction open')), new Promise<void>(() => {})]
    const reset = (): Promise<void> | undefined => outcomes.shift()
    await using pool = await filledPool(factory, 2, { clock, checkTimeoutMs: 100 }, { reset })
    await clock.advance(100)
    expect(pool.size).toBe(0)
    expect(factory.destroyed).toEqual([
      { id: 1, reason: 'invalid' },
      { id: 2, reason: 'invalid' },
    ])
  })
})
