import { EventEmitter } from 'node:events'
import type { Cache } from '../cache.ts'
import { KeyvEntries, type KeyvStoreOptions } from './keyv-entries.ts'

/** What Keyv gives a store and wants back: text, or with `serialization: false` the value in its envelope. */
export type KeyvStored<Value> = { value?: Value; expires?: number | undefined } | string

/** An entry as Keyv 6 hands it to a store: when it ends is a moment, in milliseconds since the epoch. */
export interface KeyvStoreEntry {
  readonly key: string
  readonly value: unknown
  readonly expires?: number | undefined
}

/** What Keyv 6 asks of a store before it uses it. */
export interface KeyvStoreCapabilities {
  compatible: boolean
  store: 'keyvStorage'
  /** That the store takes the moment an entry ends, not how long it lives. */
  expires: true
  methods: Record<KeyvStoreMethod, { exists: boolean; methodType: 'async' | 'none' }>
}

type KeyvStoreMethod = (typeof METHODS)[number] | 'iterator'

const METHODS = [
  'get',
  'getMany',
  'has',
  'hasMany',
  'set',
  'setMany',
  'delete',
  'deleteMany',
  'clear',
  'disconnect',
] as const

/**
 * A cache as a store of Keyv 6: `new Keyv({ store: new KeyvStore(cache) })`. For Keyv 5, and for
 * cache-manager 7 which is built on it, take {@link Keyv5Store}.
 *
 * With `serialization: false` a hit in memory gives the very value that was set, without parsing. There is
 * no iterator: a cache cannot say what it holds in Redis. Nothing is ever emitted; what Redis does
 * wrong goes to the cache's `onError`.
 */
export class KeyvStore extends EventEmitter {
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

  get capabilities(): KeyvStoreCapabilities {
    const methods = METHODS.map((name) => [name, { exists: true, methodType: 'async' }])
    return {
      compatible: true,
      store: 'keyvStorage',
      expires: true,
      methods: {
        ...(Object.fromEntries(methods) as KeyvStoreCapabilities['methods']),
        iterator: { exists: false, methodType: 'none' },
      },
    }
  }

  async get<Value>(key: string): Promise<KeyvStored<Value> | undefined> {
    return this.#entries.get<KeyvStored<Value>>(key)
  }

  /** In the order of the keys, read in one command (one a node in a cluster). */
  async getMany<Value>(keys: readonly string[]): Promise<(KeyvStored<Value> | undefined)[]> {
    return this.#entries.getMany<KeyvStored<Value>>(keys)
  }

  async has(key: string): Promise<boolean> {
    return (await this.#entries.get(key)) !== undefined
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return this.#entries.hasMany(keys)
  }

  /** @throws ValueEncodingError when the cache's codec cannot take the value; nothing was changed then. */
  async set(key: string, value: unknown, expires?: number): Promise<boolean> {
    // Keyv compares `expires` with this clock, too.
    return this.#entries.set(key, value, expires === undefined ? undefined : expires - Date.now())
  }

  async setMany(entries: readonly KeyvStoreEntry[]): Promise<boolean[]> {
    return Promise.all(entries.map(({ key, value, expires }) => this.set(key, value, expires)))
  }

  /** Whether the entry was there. */
  async delete(key: string): Promise<boolean> {
    const [was = false] = await this.#entries.deleteMany([key])
    return was
  }

  async deleteMany(keys: readonly string[]): Promise<boolean[]> {
    return this.#entries.deleteMany(keys)
  }

  /** Drops the namespace in the same short time however much it holds; without one, all of the store. */
  async clear(): Promise<void> {
    return this.#entries.clear()
  }

  async disconnect(): Promise<void> {
    return this.#entries.disconnect()
  }
}
