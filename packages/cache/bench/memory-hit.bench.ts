import { createCache as createDedupe } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { createCache } from '@dharma/cache'
import type { Metrics } from '@dharma/core'
import { createMetrics } from '@dharma/core/metrics'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'
import { createCache as createManager } from 'cache-manager'
import { Cacheable } from 'cacheable'
import { Loader } from 'layered-loader'
import { LRUCache } from 'lru-cache'

const COUNT = 1_024
const KEYS = Array.from({ length: COUNT }, (_, index) => `user:${index}:profile`)
const keyAt = (index: number): string => KEYS[index & (COUNT - 1)] as string
const valueOf = (key: string): { id: string; name: string; tags: string[] } => ({
  id: key,
  name: `name of ${key}`,
  tags: ['a', 'b'],
})
const load = (): Promise<never> => Promise.reject(new Error('every read is a hit'))

function reading(read: (key: string) => unknown): Subject {
  let seen: unknown
  return {
    iterate(count) {
      for (let index = 0; index < count; index++) seen = read(keyAt(index))
      if (seen === undefined) throw new Error('every read is a hit')
    },
  }
}

function awaiting(read: (key: string) => unknown, close?: () => Promise<unknown>): Subject {
  let seen: unknown
  return {
    async iterate(count) {
      for (let index = 0; index < count; index++) seen = await read(keyAt(index))
      if (seen === undefined) throw new Error('every read is a hit')
    },
    close: async () => void (await close?.()),
  }
}

function filledMap(): Map<string, unknown> {
  return new Map(KEYS.map((key) => [key, valueOf(key)]))
}

async function ours(
  tags: readonly string[] = [],
  metrics?: Metrics,
): Promise<ReturnType<typeof createCache>> {
  const cache = createCache({ namespace: 'bench', metrics })
  for (const key of KEYS) await cache.set(key, valueOf(key), { ttlMs: 3_600_000, tags })
  return cache
}

async function bento(serialize: boolean): Promise<Subject> {
  const cache = new BentoCache({
    default: 'memory',
    stores: {
      memory: bentostore().useL1Layer(memoryDriver({ maxItems: 50_000, serialize })),
    },
  })
  for (const key of KEYS) await cache.set({ key, value: valueOf(key), ttl: '1h' })
  return awaiting(
    (key) => cache.getOrSet({ key, factory: load, ttl: '1h' }),
    () => cache.disconnectAll(),
  )
}

async function cacheManager(): Promise<Subject> {
  const manager = createManager({ ttl: 3_600_000 })
  for (const key of KEYS) await manager.set(key, valueOf(key))
  return awaiting(
    (key) => manager.wrap(key, load),
    () => manager.disconnect(),
  )
}

async function cacheable(): Promise<Subject> {
  const cache = new Cacheable()
  for (const key of KEYS) await cache.set(key, valueOf(key), '1h')
  return awaiting(
    (key) => cache.getOrSet(key, load, { ttl: '1h' }),
    () => cache.disconnect(),
  )
}

async function layered(): Promise<Subject> {
  const loader = new Loader<unknown>({
    inMemoryCache: { cacheType: 'lru-object', ttlInMsecs: 3_600_000, maxItems: 50_000 },
    dataSourceGetOneFn: (key) => Promise.resolve(valueOf(key)),
  })
  for (const key of KEYS) await loader.get(key)
  return awaiting((key) => loader.get(key))
}

async function dedupe(): Promise<Subject> {
  const cache = createDedupe({ ttl: 3_600, storage: { type: 'memory', options: { size: 50_000 } } })
  const defined = cache.define('profile', (key: string) => Promise.resolve(valueOf(key)))
  const read = (key: string): Promise<unknown> =>
    (defined as unknown as { profile(key: string): Promise<unknown> }).profile(key)
  for (const key of KEYS) await read(key)
  return awaiting(read)
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.peek',
    title: 'A synchronous hit in memory, 1,024 keys',
    subjects: {
      dharma: async () => {
        const cache = await ours()
        return reading((key) => cache.peek(key))
      },
      'dharma, two tags': async () => {
        const cache = await ours(['one', 'two'])
        return reading((key) => cache.peek(key))
      },
      Map: () => {
        const map = filledMap()
        return reading((key) => map.get(key))
      },
      'lru-cache': () => {
        const cache = new LRUCache<string, object>({ max: 50_000, ttl: 3_600_000 })
        for (const key of KEYS) cache.set(key, valueOf(key))
        return reading((key) => cache.get(key))
      },
    },
    bars: [
      { subject: 'Map', over: 'dharma', atLeast: 0.65 },
      { subject: 'lru-cache', over: 'dharma', atLeast: 1.6 },
    ],
  }),
  defineBench({
    name: 'cache.memory-hit',
    title: 'An awaited getOrLoad that hits memory, 1,024 keys',
    subjects: {
      dharma: async () => {
        const cache = await ours()
        return awaiting((key) => cache.getOrLoad(key, load))
      },
      'dharma, metrics on': async () => {
        const cache = await ours([], createMetrics())
        return awaiting((key) => cache.getOrLoad(key, load))
      },
      'await Map.get': () => {
        const map = filledMap()
        return awaiting((key) => map.get(key))
      },
      'layered-loader': layered,
      'async-cache-dedupe': dedupe,
      'bentocache, not serialized': () => bento(false),
      bentocache: () => bento(true),
      'cache-manager 7': cacheManager,
      cacheable,
    },
    bars: [
      { subject: 'await Map.get', over: 'dharma', atLeast: 0.9 },
      { subject: 'bentocache, not serialized', over: 'dharma', atLeast: 8 },
      { subject: 'bentocache', over: 'dharma', atLeast: 20 },
      { subject: 'layered-loader', over: 'dharma', atLeast: 1.4 },
      { subject: 'cacheable', over: 'dharma', atLeast: 40 },
      { subject: 'dharma, metrics on', over: 'dharma', atMost: 1.03 },
    ],
  }),
]
