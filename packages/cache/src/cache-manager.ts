import { createCache, type Cache } from './cache.ts'
import type { CacheOptions } from './cache-options.ts'
import type { CacheHealth, CacheStats } from './cache-stats.ts'
import { RedisLink } from './redis/redis-link.ts'

/** A cache of a manager: what differs from what the manager's options say. */
export interface NamedCacheOptions extends Omit<CacheOptions, 'namespace' | 'redis'> {
  /** `false` for a cache that is this process' own. @default the manager's Redis */
  readonly redis?: false | undefined
}

export interface CacheManagerOptions<Name extends string> extends CacheOptions {
  /** In front of each cache's name, which together are the cache's namespace. */
  readonly namespace: string
  /** The caches by name; each name 1 to 32 of `A-Z a-z 0-9 _ . -`. */
  readonly caches: Readonly<Record<Name, NamedCacheOptions>>
}

/** The caches of a service: one connection for commands, one start, one end. */
export class CacheManager<Name extends string = string> implements AsyncDisposable {
  readonly namespace: string
  readonly #caches: ReadonlyMap<Name, Cache>
  readonly #link: RedisLink | undefined
  #closing: Promise<void> | undefined

  /** @throws RangeError or TypeError naming the option, or the cache's name, that is wrong; nothing is left open. */
  constructor({ caches, ...shared }: CacheManagerOptions<Name>) {
    this.namespace = shared.namespace
    const entries = Object.entries(caches) as [Name, NamedCacheOptions][]
    for (const [name] of entries) {
      if (!/^[\w.-]{1,32}$/.test(name)) {
        throw new RangeError(`a cache's name must be 1 to 32 of A-Z a-z 0-9 _ . -, got '${name}'`)
      }
    }
    const isShared = entries.some(([, { redis }]) => redis !== false)
    // Errors of the connection are told by the caches, which all listen to it.
    this.#link =
      shared.redis === undefined || !isShared
        ? undefined
        : RedisLink.open(shared.redis, () => undefined)
    this.#link?.client.setMaxListeners(0)
    const opened = new Map<Name, Cache>()
    try {
      for (const [name, own] of entries) {
        opened.set(
          name,
          createCache({
            ...shared,
            ...own,
            namespace: `${shared.namespace}:${name}`,
            redis: own.redis === false ? undefined : this.#link?.client,
          }),
        )
      }
    } catch (error) {
      closeAll(opened.values(), this.#link).catch((failure: unknown) => shared.onError?.(failure))
      throw error
    }
    this.#caches = opened
  }

  get names(): readonly Name[] {
    return [...this.#caches.keys()]
  }

  /** @throws RangeError for a name that is none of the manager's. */
  cache(name: Name): Cache {
    const cache = this.#caches.get(name)
    if (cache === undefined) {
      throw new RangeError(`no cache '${name}', only ${this.names.join(', ')}`)
    }
    return cache
  }

  /** Resolves when every cache is ready. @throws TimeoutError */
  async ready(timeoutMs?: number): Promise<void> {
    await Promise.all(Array.from(this.#caches.values(), (cache) => cache.ready(timeoutMs)))
  }

  /** What each cache has done since its start, and what it holds. */
  stats(): Record<Name, CacheStats> {
    return Object.fromEntries(
      Array.from(this.#caches, ([name, cache]) => [name, cache.stats()]),
    ) as Record<Name, CacheStats>
  }

  /** The worst of all; each reason says the cache's name. Asks nobody, so it never hangs. */
  async health(): Promise<CacheHealth> {
    const reasons: string[] = []
    for (const [name, cache] of this.#caches) {
      const health = await cache.health()
      reasons.push(...health.reasons.map((reason) => `${name}: ${reason}`))
    }
    return { status: reasons.length === 0 ? 'up' : 'degraded', reasons }
  }

  /** Closes every cache, then the connection they share. A client that was passed in stays open. */
  close(): Promise<void> {
    this.#closing ??= closeAll(this.#caches.values(), this.#link)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The caches of a service, over one connection. They connect by themselves; see {@link CacheManager.ready}. */
export function createCacheManager<Name extends string>(
  options: CacheManagerOptions<Name>,
): CacheManager<Name> {
  return new CacheManager(options)
}

async function closeAll(caches: Iterable<Cache>, link: RedisLink | undefined): Promise<void> {
  try {
    await Promise.all(Array.from(caches, (cache) => cache.close()))
  } finally {
    link?.close()
  }
}
