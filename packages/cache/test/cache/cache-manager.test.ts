import { createCacheManager } from '@dharma/cache'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'

describe('CacheManager', () => {
  it('keeps its caches apart, each with its own bounds and defaults', async () => {
    await using manager = createCacheManager({
      namespace: 'shop',
      defaults: { tags: ['all'] },
      caches: { users: { memory: { maxEntries: 1 } }, prices: {} },
    })
    for (const name of manager.names) {
      await manager.cache(name).set('a', name)
      await manager.cache(name).set('b', name)
    }
    expect(manager.names).toEqual(['users', 'prices'])
    expect(manager.cache('prices').namespace).toBe('shop:prices')
    expect(manager.cache('prices').peek('a')).toBe('prices')
    const { users, prices } = manager.stats()
    expect([users.entries, prices.entries, prices.sets]).toEqual([1, 2, 2])
    await manager.cache('users').clear()
    expect(manager.cache('prices').peek('b')).toBe('prices')
    expect(await manager.health()).toEqual({ status: 'up', reasons: [] })
  })

  it('closes all of them, once', async () => {
    const manager = createCacheManager({ namespace: 'shop', caches: { users: {}, prices: {} } })
    await manager.ready()
    await Promise.all([manager.close(), manager.close()])
    await expect(manager.cache('users').get('a')).rejects.toThrow("cache 'shop:users'")
    await expect(manager.cache('prices').get('a')).rejects.toThrow("cache 'shop:prices'")
  })

  it('leaves Redis alone where no cache is to use it', async () => {
    const redis = new Redis({ lazyConnect: true })
    await using manager = createCacheManager({
      namespace: 'shop',
      redis,
      caches: { own: { redis: false } },
    })
    await manager.ready()
    expect([redis.listenerCount('error'), redis.status]).toEqual([0, 'wait'])
  })

  it('says which name or option is wrong', () => {
    const caches: Record<string, object> = { 'a b': {} }
    expect(() => createCacheManager({ namespace: 'shop', caches })).toThrow(
      /^a cache's name must be .* got 'a b'$/,
    )
    expect(() =>
      createCacheManager({ namespace: 'shop', caches: { a: {}, b: { timeoutMs: 0 } } }),
    ).toThrow(/^timeoutMs must be/)
    const manager = createCacheManager<string>({ namespace: 'shop', caches: { a: {} } })
    expect(() => manager.cache('other')).toThrow("no cache 'other', only a")
  })
})
