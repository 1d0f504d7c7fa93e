import { createCache, RemoteLoadError, type InvalidationResult } from '@dharma/cache'
import {
  SourceRefusal,
  type CacheUnderTest,
  type OpenCache,
  type Versioned,
} from './cache-under-test.ts'
import type { Subject } from './keyspace.ts'

/** `@dharma/cache` as the checker drives it. */
export const open: OpenCache = async (options) => {
  const { target, namespace, maxStalenessMs, timeoutMs, leaseMs, durability } = options
  const limits = { maxStalenessMs, timeoutMs, leaseMs, durability }
  const cache = createCache({ namespace, redis: target, ...limits })
  await cache.ready(20_000)
  const entryOptions = ({ ttlMs, staleMs, graceMs, tags }: Subject) => ({
    ttlMs,
    staleMs,
    graceMs,
    tags,
    jitterRatio: 0,
  })
  const outcome = async (result: Promise<InvalidationResult>) => (await result).status
  const checked: CacheUnderTest = {
    peek: (key) => cache.peek<Versioned>(key),
    get: (key) => cache.get<Versioned>(key),
    getMany: (keys) => cache.getMany<Versioned>(keys),
    getOrLoad: (subject, load) => cache.getOrLoad(subject.key, load, entryOptions(subject)),
    async getOrLoadMany(subjects, loadMany) {
      // Subjects differ in their tags, and one call has one set of options.
      const groups = [...Map.groupBy(subjects, ({ tags }) => tags.join()).values()]
      const found = await Promise.all(
        groups.map((group) => {
          const keys = group.map(({ key }) => key)
          return cache.getOrLoadMany(keys, loadMany, entryOptions(group[0] as Subject))
        }),
      )
      return new Map(found.flatMap((values) => [...values]))
    },
    set: (subject, value) => outcome(cache.set(subject.key, value, entryOptions(subject))),
    delete: (keys) => outcome(cache.deleteMany(keys)),
    invalidateTags: (tags) => outcome(cache.invalidateTags(tags)),
    invalidatePattern: (pattern) => outcome(cache.invalidatePattern(pattern)),
    clear: () => outcome(cache.clear()),
    async hasPending() {
      const { reasons } = await cache.health()
      return reasons.includes('invalidations wait for Redis')
    },
    isLoaderFailure: (error) =>
      error instanceof SourceRefusal ||
      (error instanceof RemoteLoadError && error.remoteName === 'SourceRefusal'),
    close: () => cache.close(),
  }
  return checked
}
