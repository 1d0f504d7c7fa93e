import { EventEmitter } from 'node:events'
import type { Cache } from '../cache.ts'
import { KeyvEntries, type KeyvStoreOptions } from './keyv-entries.ts'

/**
 * A cache as a store of Keyv 5, and so of cache-manager 7 and what is built on that (NestJS):
 * `createCache({ stores: [new Keyv({ store: new Keyv5Store(cache) })] })`. Like {@link KeyvStore}
 * but for what changed since: here an entry's end is a duration.
 */
export class Keyv5Store extends EventEmitter {
  /** Keyv 5 looks for a dialect in it. */
  readonly opts: Record<string, unknown> = {}
  readonly #entries: KeyvEntries

  /** @throws RangeError naming the option that is wrong. */
  constructor(cache: Cache, options: KeyvStoreOptions = {}) {
    super()
    this.#entries = new KeyvEntries(cache, options)
  }

  get namespace(): string | undefined {
    return this.#entries.namespace
  }

  set namespace(namespace: string | undefined) {
    this.#entries.namespace = namespace
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    return this.#entries.get<Value>(key)
  }

  async getMany<Value>(keys: readonly string[]): Promise<(Value | undefined)[]> {
    return this.#entries.getMany<Value>(keys)
  }

  async has(key: string): Promise<boolean> {
    return (await this.#entries.get(key)) !== undefined
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return this.#entries.hasMany(keys)
  }

  /** @throws ValueEncodingError when the cache's codec cannot take the value; nothing was changed then. */
  async set(key: string, value: unknown, ttlMs?: number): Promise<boolean> {
    return this.#entries.set(key, value, ttlMs)
  }

  /** Whether the entry was there. */
  async delete(key: string): Promise<boolean> {
    const [was = false] = await this.#entries.deleteMany([key])
    return was
  }

  /** Whether any of the entries was there. */
  async deleteMany(keys: readonly string[]): Promise<boolean> {
    const were = await this.#entries.deleteMany(keys)
    return were.includes(true)
  }

  async clear(): Promise<void> {
    return this.#entries.clear()
  }

  async disconnect(): Promise<void> {
    return this.#entries.disconnect()
  }
}
