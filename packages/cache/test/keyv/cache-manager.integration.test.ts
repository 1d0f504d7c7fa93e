import { createCache, type Cache } from '@dharma/cache'
import { Keyv5Store } from '@dharma/cache/keyv'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { createCache as createManager } from 'cache-manager'
import { Keyv } from 'keyv5'
import { afterEach, beforeEach, expect, inject, it } from 'vitest'

describeWithRedis('cache-manager 7 on a cache', () => {
  let cache: Cache
  let manager: ReturnType<typeof createManager>

  beforeEach(async () => {
    cache = createCache({ namespace: uniqueName('manager'), redis: inject('redisUrl') })
    await cache.ready()
    const store = new Keyv5Store(cache, { closesCache: true })
    manager = createManager({ stores: [new Keyv({ store, namespace: 'app' })], ttl: 60_000 })
  })
  afterEach(() => manager.disconnect())

  it('sets, gets and deletes', async () => {
    await manager.set('user', { name: 'Ada' })
    expect(await manager.get('user')).toEqual({ name: 'Ada' })
    await manager.del('user')
    expect(await manager.get('user')).toBeUndefined()
  })

  it('loads once for many callers, and remembers', async () => {
    let loads = 0
    const load = (): Promise<number> => Promise.resolve(++loads)
    const values = await Promise.all(Array.from({ length: 50 }, () => manager.wrap('n', load)))
    expect(new Set(values)).toEqual(new Set([1]))
    expect(await manager.wrap('n', load)).toBe(1)
  })

  it('keeps the end that was asked for', async () => {
    const before = Date.now()
    await manager.set('brief', 1, 5_000)
    const expires = (await manager.ttl('brief')) ?? 0
    expect(expires - before).toBeGreaterThanOrEqual(5_000)
    expect(expires - before).toBeLessThan(6_000)
  })

  it('sets, gets and deletes many', async () => {
    await manager.mset([
      { key: 'a', value: 1 },
      { key: 'b', value: 2 },
    ])
    expect(await manager.mget(['a', 'b', 'c'])).toEqual([1, 2, undefined])
    await manager.mdel(['a', 'b'])
    expect(await manager.mget(['a', 'b'])).toEqual([undefined, undefined])
  })

  it('clears what came through it, and shows another process nothing of it', async () => {
    await manager.set('user', 1)
    await cache.set('own', 2)
    await manager.clear()
    expect(await manager.get('user')).toBeUndefined()
    await using other = createCache({ namespace: cache.namespace, redis: inject('redisUrl') })
    await other.ready()
    const second = createManager({
      stores: [new Keyv({ store: new Keyv5Store(other), namespace: 'app' })],
    })
    expect(await second.get('user')).toBeUndefined()
    expect(await other.get('own')).toBe(2)
  })
})
