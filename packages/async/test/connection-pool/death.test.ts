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

describe('a resource that dies', () => {
  it('idle is replaced only when it is needed', async () => {
    await using pool = await filledPool(factory, 2, { clock })
    factory.contexts[1]?.onDead(new Error('reset by peer'))
    factory.contexts[1]?.onDead()
    expect(factory.destroyed).toEqual([{ id: 2, reason: 'dead' }])
    expect(pool.stats()).toMatchObject({ size: 1, idle: 1 })
    expect((await pool.acquire()).resource.id).toBe(1)
    expect((await pool.acquire()).resource.id).toBe(3)
  })

  it('in use is replaced at once, and its lease ends as any other', async () => {
    await using pool = new ConnectionPool(factory, { clock, max: 1 })
    const lease = await pool.acquire()
    const waiter = follow(pool.acquire())
    const died: unknown[] = []
    pool.on('destroyed', ({ cause }) => died.push(cause))
    const cause = new Error('terminated by the administrator')
    expect(pool.invalidate(lease.resource, cause)).toBe(true)
    await clock.advance(0)
    expect(died).toEqual([cause])
    expect(waiter.value?.resource.id).toBe(2)
    expect(pool.invalidate(lease.resource)).toBe(false)
    lease.release()
    expect(pool.stats()).toMatchObject({ size: 1, leased: 1, idle: 0 })
    expect(factory.destroyed).toHaveLength(1)
  })

  it('in use may be destroyed by its borrower too', async () => {
    await using pool = new ConnectionPool(factory, { clock })
    const lease = await pool.acquire()
    factory.contexts[0]?.onDead()
    lease.destroy()
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'dead' }])
    expect(pool.stats()).toMatchObject({ size: 0, leased: 0 })
  })

  it('while it is validated is not lent', async () => {
    const answer = Promise.withResolvers<boolean>()
    const validate = (): Promise<boolean> => answer.promise
    await using pool = await filledPool(
      factory,
      1,
      { clock, validateAfterIdleMs: 1_000 },
      { validate },
    )
    await clock.advance(1_300)
    const waiter = follow(pool.acquire())
    factory.contexts[0]?.onDead()
    answer.resolve(true)
    await clock.advance(0)
    expect(waiter.value?.resource.id).toBe(2)
  })

  it('counts against max until it is closed, or its time for that is over', async () => {
    await using pool = await filledPool(factory, 1, { clock, max: 1, destroyTimeoutMs: 500 })
    factory.destroying = 'hangs'
    factory.contexts[0]?.onDead()
    const waiter = follow(pool.acquire())
    await clock.advance(499)
    expect(pool.stats()).toMatchObject({ size: 0, closing: 1, creating: 0 })
    await clock.advance(1)
    expect(waiter.value?.resource.id).toBe(2)
    factory.destroying = 'works'
  })

  it('and cannot be closed is reported and forgotten', async () => {
    await using pool = await filledPool(factory, 1, { clock })
    const errors: PoolEventMap<Resource>['error'][] = []
    pool.on('error', (event) => errors.push(event))
    factory.destroying = 'fails'
    factory.contexts[0]?.onDead()
    expect(errors).toMatchObject([
      { operation: 'destroy', error: { message: '1 could not be closed' } },
    ])
    expect(pool.stats()).toMatchObject({ size: 0, closing: 0, totals: { destroyed: 1 } })
  })
})
