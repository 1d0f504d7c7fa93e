import { MemoryTier } from '@dharma/cache/memory'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'
import { LRUCache } from 'lru-cache'

/** Heap and buffers, in bytes, with what nobody holds any more gone. */
function usedBytes(): number {
  for (let turn = 0; turn < 3; turn++) globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Filled in a function of its own, so that nothing but the map outlives it. */
function filledMap(keys: readonly string[], value: object): Map<string, object> {
  const map = new Map<string, object>()
  for (const key of keys) map.set(key, value)
  return map
}

/** What an entry takes beside its key and value, which are made beforehand. */
function sized(fill: (keys: readonly string[], value: object) => object): Subject {
  return {
    measure(budgetMs) {
      const entries = budgetMs < 100 ? 1_000 : 131_072
      const keys = Array.from({ length: entries }, (_, index) => `user:${index}`)
      const value = {}
      // Looked up once, so that every key has its hash.
      const warm = new Set(keys)
      const before = usedBytes()
      const map = filledMap(keys, value)
      const ofMap = usedBytes() - before
      const subject = fill(keys, value)
      const ofSubject = usedBytes() - before - ofMap
      if (map.size + warm.size === 0 || Object.keys(subject).length > 1_000) throw new Error('kept')
      return {
        bytesPerEntry: ofSubject / entries,
        overMapBytes: (ofSubject - ofMap) / entries,
      }
    },
  }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.entry-size',
    title: 'Memory of an entry beside its key and value, 131,072 entries',
    rounds: 3,
    subjects: {
      dharma: () =>
        sized((keys, value) => {
          const tier = new MemoryTier({ maxEntries: keys.length })
          for (const key of keys) tier.store(key, value, { freshForMs: 1_000_000 })
          return tier
        }),
      'lru-cache': () =>
        sized((keys, value) => {
          const cache = new LRUCache<string, object>({ max: keys.length, ttl: 1_000_000 })
          for (const key of keys) cache.set(key, value)
          return cache
        }),
      Map: () => sized(filledMap),
    },
    bars: [{ subject: 'dharma', figure: 'overMapBytes', atMost: 60 }],
  }),
]
