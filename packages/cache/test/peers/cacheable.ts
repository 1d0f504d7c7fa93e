import KeyvRedis from '@keyv/redis'
import { Cacheable } from 'cacheable'
import {
  SourceRefusal,
  type CacheUnderTest,
  type OpenCache,
  type Versioned,
} from '../consistency/cache-under-test.ts'

/**
 * cacheable straight over Redis. With memory in front it would need a bus from elsewhere; without,
 * the processes share all they have, which is the best that can be asked of it.
 */
export const open: OpenCache = async ({ target, namespace }) => {
  if (target.mode !== 'standalone') throw new RangeError('cacheable is driven with one server')
  const primary = new KeyvRedis(target.url)
  const cache = new Cacheable({ primary, namespace, tags: true, cacheId: namespace })
  cache.on('error', () => undefined)
  const drop = async (keys: readonly string[]): Promise<'done'> => {
    await cache.deleteMany([...keys])
    return 'done'
  }
  const checked: CacheUnderTest = {
    peek: () => undefined,
    get: (key) => cache.get<Versioned>(key),
    async getMany(keys) {
      const found = await cache.getMany<Versioned>([...keys])
      return new Map(
        found.flatMap((value) => (value === undefined ? [] : [[value.key, value] as const])),
      )
    },
    // Its own `getOrSet` knows no tags.
    async getOrLoad({ key, ttlMs, tags }, load) {
      if (tags.length === 0) return cache.getOrSet(key, load, { ttl: ttlMs, throwErrors: true })
      const kept = await cache.get<Versioned>(key)
      if (kept !== undefined) return kept
      const value = await load()
      await cache.set(key, value, { ttl: ttlMs, tags: [...tags] })
      return value
    },
    async getOrLoadMany(subjects, loadMany) {
      const values = await Promise.all(
        subjects.map((subject) =>
          checked.getOrLoad(subject, async () => {
            const loaded = await loadMany([subject.key])
            return loaded.get(subject.key) as Versioned
          }),
        ),
      )
      return new Map(
        values.flatMap((value) => (value === undefined ? [] : [[value.key, value] as const])),
      )
    },
    async set({ key, ttlMs, tags }, value) {
      await cache.set(key, value, { ttl: ttlMs, tags: [...tags] })
      return 'done'
    },
    delete: drop,
    async invalidateTags(tags) {
      await cache.tags.invalidateTags([...tags])
      return 'done'
    },
    invalidatePattern: (_pattern, covered) => drop(covered),
    async clear() {
      await cache.clear()
      return 'done'
    },
    hasPending: () => Promise.resolve(false),
    isLoaderFailure: (error) => error instanceof SourceRefusal,
    close: () => cache.disconnect(),
  }
  return checked
}
