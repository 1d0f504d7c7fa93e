import type { Cache } from '../cache.ts'
import { escapeKeyPart } from '../policy.ts'

/** Options of the stores for Keyv. */
export interface KeyvStoreOptions {
  /**
   * First part of every key, so that what comes through Keyv has a place of its own in the cache.
   * `a-z`, `0-9` and `-`. @default 'keyv'
   */
  readonly prefix?: string | undefined
  /**
   * How long an entry stays that Keyv gives no TTL, for a cache keeps nothing for ever. 1 to 4,294,967,295
   * milliseconds. @default 4_294_967_295, 49 days
   */
  readonly maxTtlMs?: number | undefined
  /** Whether `disconnect()` closes the cache. @default false: whoever made the cache closes it */
  readonly closesCache?: boolean | undefined
}

const MAX_TTL_MS = 2 ** 32 - 1

/** The entries of a cache as a Keyv store sees them, whichever version of Keyv asks. */
export class KeyvEntries {
  /** Set by Keyv; keeps apart what several Keyvs put into one store. */
  namespace: string | undefined
  readonly #cache: Cache
  readonly #prefix: string
  readonly #maxTtlMs: number
  readonly #closesCache: boolean

  /** @throws RangeError naming the option that is wrong. */
  constructor(cache: Cache, options: KeyvStoreOptions) {
    const { prefix = 'keyv', maxTtlMs = MAX_TTL_MS, closesCache = false } = options
    if (!/^[a-z][a-z0-9-]*$/.test(prefix)) {
      throw new RangeError(`prefix must be a-z, 0-9 and -, got '${prefix}'`)
    }
    if (!(maxTtlMs >= 1 && maxTtlMs <= MAX_TTL_MS)) {
      throw new RangeError(`maxTtlMs must be a number from 1 to ${MAX_TTL_MS}, got ${maxTtlMs}`)
    }
    this.#cache = cache
    this.#prefix = prefix
    this.#maxTtlMs = maxTtlMs
    this.#closesCache = closesCache
  }

  get<Stored>(key: string): Promise<Stored | undefined> {
    return this.#cache.get<Stored>(this.#keyOf(key))
  }

  async getMany<Stored>(keys: readonly string[]): Promise<(Stored | undefined)[]> {
    const names = keys.map((key) => this.#keyOf(key))
    const found = await this.#cache.getMany<Stored>(names)
    return names.map((name) => found.get(name))
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return (await this.getMany(keys)).map((stored) => stored !== undefined)
  }

  /** A TTL of nothing or less drops what is there: the entry has expired already. */
  async set(key: string, value: unknown, ttlMs: number | undefined): Promise<true> {
    const name = this.#keyOf(key)
    if (ttlMs !== undefined && ttlMs <= 0) {
      await this.#cache.delete(name)
      return true
    }
    // Keyv says when an entry ends, so nothing of the cache's own may move that.
    await this.#cache.set(name, value, {
      ttlMs: Math.min(this.#maxTtlMs, Math.max(1, Math.ceil(ttlMs ?? this.#maxTtlMs))),
      staleMs: 0,
      graceMs: 0,
      negativeTtlMs: undefined,
      jitterRatio: 0,
      tags: [],
    })
    return true
  }

  /** Says of each whether it was there. They are dropped in any case, for a read may miss what is there. */
  async deleteMany(keys: readonly string[]): Promise<boolean[]> {
    const were = await this.hasMany(keys)
    await this.#cache.deleteMany(keys.map((key) => this.#keyOf(key)))
    return were
  }

  /** Drops what the namespace holds, or all that came through Keyv where there is none. */
  async clear(): Promise<void> {
    const { namespace } = this
    await this.#cache.invalidatePattern(
      namespace === undefined || namespace === ''
        ? `${this.#prefix}:*`
        : `${this.#prefix}:${escapeKeyPart(namespace)}:*`,
    )
  }

  async disconnect(): Promise<void> {
    if (this.#closesCache) await this.#cache.close()
  }

  #keyOf(key: string): string {
    return `${this.#prefix}:${escapeKeyPart(this.namespace ?? '')}:${key}`
  }
}
