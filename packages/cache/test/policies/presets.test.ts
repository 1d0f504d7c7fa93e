import { createCache, InvalidValueError } from '@dharma/cache'
import {
  apiResponsePolicy,
  botDetectionPolicy,
  campaignPolicy,
  definePolicy,
  featureVectorPolicy,
  queryResultPolicy,
  sentimentPolicy,
  sessionPolicy,
  userProfilePolicy,
} from '@dharma/cache/policies'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'

interface User {
  readonly name: string
}

const presets = [
  userProfilePolicy<User>(),
  sessionPolicy<User>(),
  sentimentPolicy<User>(),
  botDetectionPolicy<User>(),
  campaignPolicy<User>(),
  apiResponsePolicy<User>(),
  queryResultPolicy<User>(),
  featureVectorPolicy(),
]

describe('the presets', () => {
  it('each has a name of its own', () => {
    expect(new Set(presets.map(({ name }) => name)).size).toBe(presets.length)
  })

  it('take a service’s value type, schema and durations', async () => {
    const schema = z.object({ name: z.string() })
    const policy = userProfilePolicy<User>({ schema, ttlMs: 1_000, version: 2 })
    await using cache = createCache({ namespace: 'presets' })
    const users = cache.for(policy)
    expectTypeOf(await users.get('7')).toEqualTypeOf<User | undefined>()
    expect(users.keyOf('7')).toBe('user-profile@2:7')
    await expect(users.set('7', { name: 7 } as unknown as User)).rejects.toThrow(InvalidValueError)
    expect(policy.ttlMs).toBe(1_000)
    expect(policy.graceMs).toBe(3_600_000)
  })

  it('are checked as any policy is', () => {
    expect(() => userProfilePolicy({ name: 'User Profile' })).toThrow(RangeError)
    expect(() => definePolicy<User>()({ name: 'x', key: (id: string) => id, ttlMs: 0 })).toThrow(
      'ttlMs',
    )
  })

  it('drop a profile when its user is invalidated, and no other', async () => {
    await using cache = createCache({ namespace: 'presets' })
    const users = cache.for(userProfilePolicy<User>())
    await users.set('1', { name: 'Ada' })
    await users.set('2', { name: 'Bob' })
    await cache.invalidateTags(['user:1'])
    expect(users.peek('1')).toBeUndefined()
    expect(users.peek('2')).toEqual({ name: 'Bob' })
  })

  it('never serve a session after its minute, even where the store fails', async () => {
    const clock = new ManualClock()
    await using cache = createCache({ namespace: 'presets', clock })
    const sessions = cache.for(sessionPolicy<User>())
    await sessions.set({ sessionId: 's', userId: 1 }, { name: 'Ada' })
    await clock.advance(59_000)
    expect(sessions.peek({ sessionId: 's' })).toEqual({ name: 'Ada' })
    await clock.advance(2_000)
    const failing = sessions.getOrLoad({ sessionId: 's' }, () => Promise.reject(new Error('down')))
    await expect(failing).rejects.toThrow('down')
  })

  it('drop the sessions of a user with the user', async () => {
    await using cache = createCache({ namespace: 'presets' })
    const sessions = cache.for(sessionPolicy<User>())
    await sessions.set({ sessionId: 'a', userId: 1 }, { name: 'Ada' })
    await sessions.set({ sessionId: 'b' }, { name: 'unknown' })
    await cache.invalidateTags(['user:1'])
    expect(sessions.peek({ sessionId: 'a' })).toBeUndefined()
    expect(sessions.peek({ sessionId: 'b' })).toEqual({ name: 'unknown' })
  })

  it('show neither session nor text nor parameter in a key', async () => {
    await using cache = createCache({ namespace: 'presets' })
    const keys = [
      cache.for(sessionPolicy()).keyOf({ sessionId: 'secret' }),
      cache.for(sentimentPolicy()).keyOf({ model: 'm', text: 'secret' }),
      cache.for(queryResultPolicy()).keyOf({ query: 'select 1', parameters: ['secret'] }),
    ]
    for (const key of keys) expect(key).not.toContain('secret')
  })

  it('make one key of the same parameters in another order, and two of others', async () => {
    await using cache = createCache({ namespace: 'presets' })
    const responses = cache.for(apiResponsePolicy())
    const of = (parameters: Record<string, unknown>, varyBy?: string): string =>
      responses.keyOf({ api: 'geo', path: '/cities', parameters, varyBy })
    expect(of({ a: 1, b: { d: 2, c: 3 } })).toBe(of({ b: { c: 3, d: 2 }, a: 1 }))
    expect(of({ a: 1 })).not.toBe(of({ a: '1' }))
    expect(of({ a: 1 })).not.toBe(of({ a: 1 }, 'de'))
    expect(responses.keyOf({ api: 'geo', path: '/cities' })).toBe(of({}))
    const queries = cache.for(queryResultPolicy())
    const big = queries.keyOf({ query: 'q', parameters: [1n] })
    expect(big).not.toBe(queries.keyOf({ query: 'q', parameters: [1] }))
    expect(queries.keyOf({ query: 'q', parameters: [null] })).not.toBe(
      queries.keyOf({ query: 'q' }),
    )
  })

  it.each([
    ['sentiment', sentimentPolicy(), { model: 'm', text: 't' }, 'model:m'],
    ['bot detection', botDetectionPolicy(), { model: 'm', client: 'c' }, 'model:m'],
    ['feature vector', featureVectorPolicy(), { model: 'm', entity: 'e' }, 'model:m'],
    ['campaign', campaignPolicy(), 'c', 'campaign:c'],
    ['api response', apiResponsePolicy(), { api: 'a', path: '/' }, 'api:a'],
    ['query result', queryResultPolicy(), { query: 'q', tables: ['t'] }, 'table:t'],
  ])('tag a %s with what it depends on', async (_, policy, id, tag) => {
    await using cache = createCache({ namespace: 'presets' })
    const entries = cache.for<unknown, unknown>(policy as never)
    await entries.set(id, 1)
    expect(entries.peek(id)).toBe(1)
    await cache.invalidateTags([tag])
    expect(entries.peek(id)).toBeUndefined()
  })

  it('leave a query without tables untagged', () => {
    expect(queryResultPolicy().tags?.({ query: 'q' })).toEqual([])
  })

  it('never make one key of parameters of different types', async () => {
    await using cache = createCache({ namespace: 'presets' })
    const queries = cache.for(queryResultPolicy())
    const distinct = [1n, '1n', 1, '1', true, null, undefined, [], {}, new Date(1), Number.NaN]
    const nested = [new Uint8Array([1]), [1, 2], { a: [1, 2] }, { a: 1 }, { b: 1, a: 1 }]
    const keys = [...distinct, ...nested].map((parameter) =>
      queries.keyOf({ query: 'q', parameters: [parameter] }),
    )
    expect(new Set(keys).size).toBe(keys.length)
    const bare: unknown = Object.create(null)
    expect(queries.keyOf({ query: 'q', parameters: [bare] })).toBe(
      queries.keyOf({ query: 'q', parameters: [{ left: undefined }] }),
    )
  })

  it.each([[new Map()], [Symbol('s')], [() => 1]])(
    'refuse a parameter without text',
    async (value) => {
      await using cache = createCache({ namespace: 'presets' })
      const queries = cache.for(queryResultPolicy())
      expect(() => queries.keyOf({ query: 'q', parameters: [value] })).toThrow(TypeError)
    },
  )
})
