import { Redis } from 'ioredis'
import {
  SourceRefusal,
  type CacheUnderTest,
  type OpenCache,
  type OpenOptions,
  type Versioned,
} from './cache-under-test.ts'

/**
 * Caches that are wrong on purpose, each in one way, and one that is right because it keeps nothing.
 * `write-back`: a load in flight is not fenced. `deaf`: processes do not hear of each other.
 * `wall-clock`: tags are compared with the time of whoever wrote the entry. `trusting`: a tag whose
 * version is gone counts as never invalidated. `hanging`: it waits for Redis for ever. `throwing`:
 * its callers see Redis' errors. `forgetful`: an invalidation that Redis did not take is dropped.
 */
export type NaiveVariant =
  | 'keeps-nothing'
  | 'write-back'
  | 'deaf'
  | 'wall-clock'
  | 'trusting'
  | 'hanging'
  | 'throwing'
  | 'forgetful'

/** Opens the variant that the options name. */
export const open: OpenCache = async (options) => {
  const { variant } = options as { readonly variant: NaiveVariant }
  switch (variant) {
    case 'keeps-nothing': {
      return keepsNothing()
    }
    case 'write-back':
    case 'deaf': {
      return inMemory(variant)
    }
    case 'wall-clock':
    case 'trusting': {
      return tagged(options, variant)
    }
    case 'hanging':
    case 'throwing':
    case 'forgetful': {
      return dependent(options, variant)
    }
  }
}

function keepsNothing(): CacheUnderTest {
  return {
    peek: () => undefined,
    get: () => Promise.resolve(undefined),
    getMany: () => Promise.resolve(new Map()),
    getOrLoad: (_subject, load) => load(),
    getOrLoadMany: (subjects, loadMany) => loadMany(subjects.map(({ key }) => key)),
    set: () => Promise.resolve('done'),
    delete: () => Promise.resolve('done'),
    invalidateTags: () => Promise.resolve('done'),
    invalidatePattern: () => Promise.resolve('done'),
    clear: () => Promise.resolve('done'),
    hasPending: () => Promise.resolve(false),
    isLoaderFailure: (error) => error instanceof SourceRefusal,
    close: () => Promise.resolve(),
  }
}

/** A map in each process. Keys that only a TTL ends are not kept. */
function inMemory(variant: 'write-back' | 'deaf'): CacheUnderTest {
  const values = new Map<string, Versioned>()
  let drops = 0
  const drop = (keys: readonly string[]): Promise<'done'> => {
    drops++
    for (const key of keys) values.delete(key)
    return Promise.resolve('done')
  }
  return {
    ...keepsNothing(),
    peek: (key) => values.get(key),
    get: (key) => Promise.resolve(values.get(key)),
    async getOrLoad(subject, load) {
      const kept = values.get(subject.key)
      if (kept !== undefined) return kept
      const dropsBefore = drops
      const value = await load()
      const isFenced = variant === 'deaf' && drops !== dropsBefore
      if (subject.kind !== 'expiring' && !isFenced) values.set(subject.key, value)
      return value
    },
    set: ({ key }) => drop([key]),
    delete: drop,
    invalidateTags: (_tags, covered) => drop(covered),
    invalidatePattern: (_pattern, covered) => drop(covered),
    clear: () => drop([...values.keys()]),
  }
}

/** Entries in Redis with tags. All but tags is invalidated by deleting, and loads are short of a race only by luck. */
async function tagged(
  { target, namespace }: OpenOptions,
  variant: 'wall-clock' | 'trusting',
): Promise<CacheUnderTest> {
  const redis = connect(target)
  const entry = (key: string): string => `${namespace}:e:{${key}}`
  const tag = (name: string): string => `${namespace}:t:${name}`
  const stamps = async (tags: readonly string[]): Promise<number[]> =>
    tags.length === 0 ? [] : (await redis.mget(tags.map(tag))).map((stamp) => Number(stamp ?? 0))
  const get = async (key: string): Promise<Versioned | undefined> => {
    const text = await redis.get(entry(key))
    if (text === null) return undefined
    const kept = JSON.parse(text) as {
      value: Versioned
      tags: string[]
      stamps: number[]
      at: number
    }
    const now = await stamps(kept.tags)
    const isCurrent = now.every((stamp, index) =>
      variant === 'wall-clock'
        ? stamp < kept.at
        : stamp === 0 || stamp === (kept.stamps[index] ?? 0),
    )
    return isCurrent ? kept.value : undefined
  }
  const drop = async (keys: readonly string[]): Promise<'done'> => {
    await redis.del(...keys.map(entry))
    return 'done'
  }
  return {
    ...keepsNothing(),
    get,
    async getOrLoad(subject, load) {
      const kept = await get(subject.key)
      if (kept !== undefined) return kept
      const before = await stamps(subject.tags)
      const value = await load()
      const text = JSON.stringify({ value, tags: subject.tags, stamps: before, at: Date.now() })
      await redis.set(entry(subject.key), text, 'PX', subject.ttlMs)
      return value
    },
    set: ({ key }) => drop([key]),
    delete: drop,
    async invalidateTags(tags) {
      for (const name of tags) {
        if (variant === 'wall-clock') await redis.set(tag(name), Date.now())
        else await redis.incr(tag(name))
      }
      return 'done'
    },
    invalidatePattern: (_pattern, covered) => drop(covered),
    async clear() {
      const names = await redis.keys(`${namespace}:e:*`)
      if (names.length > 0) await redis.del(...names)
      return 'done'
    },
    async close() {
      redis.disconnect()
    },
  }
}

/** Asks Redis before each load, and bears what happens to it badly. */
async function dependent(
  { target, namespace }: OpenOptions,
  variant: 'hanging' | 'throwing' | 'forgetful',
): Promise<CacheUnderTest> {
  const isPatient = variant === 'hanging'
  const redis = connect(target, isPatient ? {} : { enableOfflineQueue: false, commandTimeout: 200 })
  const mark = (key: string): string => `${namespace}:gone:${key}`
  const local = new Map<string, readonly [Versioned, string]>()
  const drop = async (keys: readonly string[]): Promise<'done'> => {
    for (const key of keys) local.delete(key)
    if (variant !== 'forgetful') return 'done'
    for (const key of keys) await redis.incr(mark(key)).catch(() => 0)
    return 'done'
  }
  return {
    ...keepsNothing(),
    async getOrLoad(subject, load) {
      const asked = redis.get(mark(subject.key))
      if (variant !== 'forgetful') {
        await asked
        return load()
      }
      const stamp = await asked.catch(() => undefined)
      const [kept, keptStamp] = local.get(subject.key) ?? []
      if (kept !== undefined && keptStamp === String(stamp)) return kept
      const value = await load()
      if (stamp !== undefined && subject.kind !== 'expiring') {
        local.set(subject.key, [value, String(stamp)])
      }
      return value
    },
    set: ({ key }) => drop([key]),
    delete: drop,
    invalidateTags: (_tags, covered) => drop(covered),
    invalidatePattern: (_pattern, covered) => drop(covered),
    clear: () => drop([...local.keys()]),
    async close() {
      redis.disconnect()
    },
  }
}

function connect(
  target: OpenOptions['target'],
  options: { readonly enableOfflineQueue?: boolean; readonly commandTimeout?: number } = {},
): Redis {
  if (target.mode !== 'standalone') throw new RangeError('a naive cache knows one server')
  const redis = new Redis(target.url, {
    ...options,
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
  })
  redis.on('error', () => undefined)
  return redis
}
