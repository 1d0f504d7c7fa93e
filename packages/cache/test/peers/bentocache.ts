import { bentostore, BentoCache } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import {
  SourceRefusal,
  type CacheUnderTest,
  type OpenCache,
  type Versioned,
} from '../consistency/cache-under-test.ts'

/** bentocache with memory, Redis and its bus, and the settings of its documentation. */
export const open: OpenCache = async ({ target, namespace }) => {
  if (target.mode !== 'standalone') throw new RangeError('bentocache is driven with one server')
  const { hostname: host, port } = new URL(target.url)
  const connection = { host, port: Number(port), maxRetriesPerRequest: 1 }
  const bento = new BentoCache({
    default: 'both',
    prefix: namespace,
    stores: {
      both: bentostore()
        .useL1Layer(memoryDriver({ maxItems: 10_000 }))
        .useL2Layer(redisDriver({ connection }))
        .useBus(redisBusDriver({ connection })),
    },
  })
  // Its first command connects, and the bus subscribes then.
  await bento.set({ key: 'first', value: 1 })
  const get = async (key: string): Promise<Versioned | undefined> =>
    (await bento.get<Versioned | undefined>({ key })) ?? undefined
  const drop = async (keys: readonly string[]): Promise<'done'> => {
    await bento.deleteMany({ keys: [...keys] })
    return 'done'
  }
  const checked: CacheUnderTest = {
    peek: () => undefined,
    get,
    async getMany(keys) {
      const found = await Promise.all(keys.map(get))
      return new Map(found.flatMap((value) => (value === undefined ? [] : [[value.key, value]])))
    },
    getOrLoad: ({ key, ttlMs, tags }, load) =>
      bento.getOrSet({ key, factory: load, ttl: ttlMs, tags: [...tags] }),
    async getOrLoadMany(subjects, loadMany) {
      const values = await Promise.all(
        subjects.map((subject) =>
          checked.getOrLoad(subject, async () => {
            const loaded = await loadMany([subject.key])
            return loaded.get(subject.key) as Versioned
          }),
        ),
      )
      return new Map(values.flatMap((value) => (value === undefined ? [] : [[value.key, value]])))
    },
    async set({ key, ttlMs, tags }, value) {
      await bento.set({ key, value, ttl: ttlMs, tags: [...tags] })
      return 'done'
    },
    delete: drop,
    async invalidateTags(tags) {
      await bento.deleteByTag({ tags: [...tags] })
      return 'done'
    },
    invalidatePattern: (_pattern, covered) => drop(covered),
    async clear() {
      await bento.clear()
      return 'done'
    },
    hasPending: () => Promise.resolve(false),
    isLoaderFailure: (error) =>
      error instanceof SourceRefusal ||
      (error instanceof Error && error.cause instanceof SourceRefusal),
    close: () => bento.disconnectAll(),
  }
  return checked
}
