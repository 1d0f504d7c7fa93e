import type { EventEmitter } from 'node:events'
import { createCache } from '@dharma/cache'
import { Keyv5Store, KeyvStore } from '@dharma/cache/keyv'
import { Keyv, type KeyvStorageAdapter } from 'keyv'
import { Keyv as Keyv5, type KeyvStoreAdapter } from 'keyv5'
import { describe, expect, expectTypeOf, it } from 'vitest'

describe('KeyvStore', () => {
  it('is what Keyv takes for a store, as it is', async () => {
    // Keyv has types of its own for the methods of Node's emitter.
    expectTypeOf<KeyvStore>().toExtend<Omit<KeyvStorageAdapter, keyof EventEmitter>>()
    expectTypeOf<Keyv5Store>().toExtend<Omit<KeyvStoreAdapter, keyof EventEmitter>>()
    await using cache = createCache({ namespace: 'keyv' })
    const store = new KeyvStore(cache)
    const keyv = new Keyv({ store })
    expect(keyv.store).toBe(store)
    const missing = Object.entries(store.capabilities.methods).filter(
      ([name, { exists }]) => exists !== (typeof Reflect.get(store, name) === 'function'),
    )
    expect(missing).toEqual([])
  })

  it('gives the very value that was set where nothing is serialized', async () => {
    await using cache = createCache({ namespace: 'keyv' })
    const keyv = new Keyv({ store: new KeyvStore(cache), serialization: false })
    const value = { name: 'Ada' }
    await keyv.set('user', value)
    expect(await keyv.get('user')).toBe(value)
  })

  it('sets, finds and deletes many, and says of each what became of it', async () => {
    await using cache = createCache({ namespace: 'keyv' })
    const keyv = new Keyv({ store: new KeyvStore(cache), namespace: 'a*b' })
    await keyv.setMany([
      { key: '1', value: 'one' },
      { key: '2', value: 'two', ttl: 60_000 },
    ])
    expect(await keyv.getMany(['1', '2', '3'])).toEqual(['one', 'two', undefined])
    expect(await keyv.hasMany(['1', '2', '3'])).toEqual([true, true, false])
    expect(await keyv.deleteMany(['1', '3'])).toEqual([true, false])
    expect(await keyv.has('1')).toBe(false)
  })

  it('never shows an entry that has ended, and drops one that ends before it begins', async () => {
    await using cache = createCache({ namespace: 'keyv' })
    const store = new KeyvStore(cache)
    await store.set('past', 'old')
    expect(await store.set('past', 'new', Date.now() - 1)).toBe(true)
    expect(await store.get('past')).toBeUndefined()
    await store.set('soon', 'value', Date.now() + 20)
    expect(await store.has('soon')).toBe(true)
    await expect.poll(() => store.has('soon')).toBe(false)
  })

  it('keeps an entry without a TTL for as long as it was told, whatever the cache’s defaults', async () => {
    await using cache = createCache({
      namespace: 'keyv',
      defaults: { ttlMs: 1, jitterRatio: 1, staleMs: 60_000 },
    })
    const lasting = new KeyvStore(cache)
    const brief = new KeyvStore(cache, { prefix: 'brief', maxTtlMs: 20 })
    await lasting.set('a', '1')
    await brief.set('a', '1')
    await expect.poll(() => brief.get('a')).toBeUndefined()
    expect(await lasting.get('a')).toBe('1')
  })

  it('clears one namespace, or all where it has none, and nothing else of the cache', async () => {
    await using cache = createCache({ namespace: 'keyv' })
    const [star, other, none] = [new KeyvStore(cache), new KeyvStore(cache), new KeyvStore(cache)]
    star.namespace = '*'
    other.namespace = 'other'
    await Promise.all([star.set('k', '1'), other.set('k', '2'), none.set('k', '3')])
    await cache.set('own', 4)
    expect(star.namespace).toBe('*')
    await star.clear()
    expect(await star.get('k')).toBeUndefined()
    expect(await other.get('k')).toBe('2')
    await none.clear()
    expect(await other.hasMany(['k'])).toEqual([false])
    expect(await none.get('k')).toBeUndefined()
    expect(cache.peek('own')).toBe(4)
  })

  it('closes the cache on disconnect only where it was told to', async () => {
    const cache = createCache({ namespace: 'keyv' })
    await new KeyvStore(cache).disconnect()
    await cache.set('open', 1)
    await new Keyv5Store(cache, { closesCache: true }).disconnect()
    await expect(cache.set('open', 1)).rejects.toMatchObject({ code: 'DHARMA_CLOSED' })
  })

  it('refuses options that make no sense', async () => {
    await using cache = createCache({ namespace: 'keyv' })
    expect(() => new KeyvStore(cache, { prefix: 'a*' })).toThrow(/prefix .* got 'a\*'/)
    expect(() => new Keyv5Store(cache, { maxTtlMs: 0 })).toThrow(/maxTtlMs .* got 0/)
  })
})

describe('Keyv5Store', () => {
  it('takes durations, and says whether any of many was deleted', async () => {
    await using cache = createCache({ namespace: 'keyv' })
    const store = new Keyv5Store(cache)
    const keyv = new Keyv5({ store, namespace: 'five' })
    expect(store.namespace).toBe('five')
    await keyv.set('brief', 1, 20)
    await keyv.set('long', 2)
    expect(await keyv.hasMany(['brief', 'long'])).toEqual([true, true])
    await expect.poll(() => store.has('five:brief')).toBe(false)
    expect(await keyv.getMany(['brief', 'long'])).toEqual([undefined, 2])
    expect(await keyv.deleteMany(['brief', 'long'])).toBe(true)
    expect(await keyv.deleteMany(['brief', 'long'])).toBe(false)
  })
})
