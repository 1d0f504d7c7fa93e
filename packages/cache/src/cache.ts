import { ClosedError, TimeoutError } from '@dharma/core'
import type { CacheOptions } from './cache-options.ts'
import { assembleCache, healthOf, statsOf, type CacheParts } from './cache-parts.ts'
import type { CacheHealth, CacheStats } from './cache-stats.ts'
import {
  checkKey,
  resolveEntryOptions,
  type EntryOptions,
  type LoadContext,
  type LoadOptions,
  type Loader,
  type ResolvedEntryOptions,
} from './entry-options.ts'
import type { InvalidationResult } from './invalidations.ts'
import type { LoadRequest } from './loads.ts'
import type { MemoryTier } from './memory/index.ts'
import { PolicyCache } from './policy-cache.ts'
import type { Policy } from './policy.ts'
import type { InvalidationTargets } from './redis/invalidation-writer.ts'
import type { SharedRead } from './shared-tier.ts'
import type { Tallies } from './tally.ts'
import { prepareValue, type ValueSharing } from './value-sharing.ts'

/** A cache over memory and, if told where, Redis. Make one with {@link createCache}. */
export class Cache implements AsyncDisposable {
  readonly namespace: string
  readonly #parts: CacheParts
  readonly #memory: MemoryTier | undefined
  readonly #tallies: Tallies
  readonly #policyOptions: Readonly<Record<string, EntryOptions>>
  readonly #sharing: ValueSharing
  #isClosed = false

  /** @throws RangeError or TypeError naming the option that is wrong. */
  constructor(options: CacheOptions) {
    this.#parts = assembleCache(options)
    this.#memory = this.#parts.memory
    this.#tallies = this.#parts.tallies
    this.namespace = options.namespace
    this.#policyOptions = options.policies ?? {}
    const { memory = {} } = options
    this.#sharing = (memory === false ? undefined : memory.values) ?? 'share'
  }

  /** The value in memory if it is there and current; asks nobody and waits for nothing. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as in `get`, the caller says what it put there
  peek<Value = unknown>(key: string): Value | undefined {
    const slot = this.#memory?.hit(key) ?? -1
    if (slot < 0 || this.#memory === undefined) return undefined
    return this.#given(this.#memory.valueAt(slot)) as Value
  }

  /** The value from memory or Redis; undefined when neither has it. Never fails because of Redis. */
  get<Value = unknown>(
    key: string,
    options?: Pick<EntryOptions, 'isValid'>,
  ): Promise<Value | undefined> {
    const memory = this.#memory
    if (memory !== undefined) {
      const slot = memory.hit(key)
      if (slot >= 0) {
        this.#tallies.memoryHits.inc()
        return this.#givenAt(memory, slot) as Promise<Value>
      }
    }
    return this.#find(key, options?.isValid) as Promise<Value | undefined>
  }

  /** What memory and Redis have of these keys, read in one command (one a node in a cluster). */
  async getMany<Value = unknown>(keys: readonly string[]): Promise<Map<string, Value>> {
    const { found, missing } = this.#findManyInMemory(keys)
    if (missing.length > 0) {
      const reads = (await this.#parts.many.readMany(missing)) ?? []
      let hits = 0
      for (let index = 0; index < reads.length; index++) {
        const read = reads[index]
        if (read?.kind !== 'hit') continue
        hits++
        if (isServable(read) && read.value !== undefined)
          found.set(missing[index] as string, read.value)
      }
      this.#tallies.redisHits.inc(hits)
      this.#tallies.misses.inc(missing.length - hits)
    }
    return found as Map<string, Value>
  }

  /**
   * The value, loaded if nothing current is there: by one loader at a time over all processes, and
   * never from before an invalidation that this call came after.
   * @throws what the loader throws, unless something stale may stand in.
   */
  getOrLoad<Value>(key: string, loader: Loader<Value>, options?: LoadOptions): Promise<Value> {
    const memory = this.#memory
    if (memory !== undefined && options?.refresh !== true) {
      const slot = memory.hit(key)
      if (slot >= 0) {
        this.#tallies.memoryHits.inc()
        return this.#givenAt(memory, slot) as Promise<Value>
      }
    }
    return this.#load(key, loader as Loader<unknown>, options) as Promise<Value>
  }

  /** As `getOrLoad` for many keys; `loadMany` gets all that are missing at once. What it leaves out is left out. */
  async getOrLoadMany<Value>(
    keys: readonly string[],
    loadMany: (
      keys: readonly string[],
      context: Pick<LoadContext, 'signal'>,
    ) => Promise<ReadonlyMap<string, Value>>,
    options?: LoadOptions,
  ): Promise<Map<string, Value>> {
    const values =
      options?.refresh === true ? new Map<string, Value>() : await this.getMany<Value>(keys)
    const missing = [...new Set(keys)].filter((key) => !values.has(key))
    if (missing.length === 0) return values
    const entry = this.#entryOptions(options)
    const loaded = await this.#parts.many.load(missing, loadMany, (key, loader, onWait) =>
      this.#parts.loads.load({
        key,
        loader,
        options: { ...options, refresh: true },
        entry,
        onWait,
      }),
    )
    for (const [key, value] of loaded) if (value !== undefined) values.set(key, value as Value)
    return values
  }

  /** @throws ValueEncodingError when the codec cannot take the value; nothing was changed then. */
  set(key: string, value: unknown, options?: EntryOptions): Promise<InvalidationResult> {
    return this.setMany([[key, value]], options)
  }

  /**
   * Sets many, in one pipeline a node. `pending` if Redis did not acknowledge all of them.
   * @throws ValueEncodingError when the codec cannot take one of the values; nothing was changed then.
   */
  async setMany(
    entries: Iterable<readonly [string, unknown]>,
    options?: EntryOptions,
  ): Promise<InvalidationResult> {
    const wanted: (readonly [string, unknown])[] = []
    for (const [key, value] of entries) {
      this.#assertUsable(key)
      wanted.push([key, prepareValue(value, this.#sharing)])
    }
    this.#tallies.sets.inc(wanted.length)
    return this.#parts.writes.set(wanted, this.#entryOptions(options))
  }

  delete(key: string): Promise<InvalidationResult> {
    return this.invalidate({ keys: [key] })
  }

  deleteMany(keys: readonly string[]): Promise<InvalidationResult> {
    return this.invalidate({ keys })
  }

  /** Drops every entry that has one of the tags, in the same short time however many there are. */
  invalidateTags(tags: readonly string[]): Promise<InvalidationResult> {
    return this.invalidate({ tags })
  }

  /** Drops every entry whose key matches the glob, in the same short time however many there are. */
  invalidatePattern(pattern: string): Promise<InvalidationResult> {
    return this.invalidate({ patterns: [pattern] })
  }

  /** Drops every entry of the namespace. */
  clear(): Promise<InvalidationResult> {
    return this.invalidate({ everything: true })
  }

  /** Keys, tags and patterns in one step. */
  async invalidate(targets: InvalidationTargets): Promise<InvalidationResult> {
    for (const key of targets.keys ?? []) this.#assertUsable(key)
    if (this.#isClosed) throw new ClosedError(`cache '${this.namespace}'`)
    const names = [targets.keys, targets.tags, targets.patterns].reduce(
      (sum, all) => sum + (all?.length ?? 0),
      0,
    )
    if (names === 0 && targets.everything !== true) return { status: 'done' }
    this.#tallies.invalidations.inc()
    return this.#parts.invalidations.invalidate(targets)
  }

  /** For a source of changes that is not this cache: the same as {@link invalidate}. */
  applyInvalidation(targets: InvalidationTargets): Promise<InvalidationResult> {
    return this.invalidate(targets)
  }

  /** The cache as one policy sees it: typed keys and values, its TTLs and tags. */
  for<Value, Id>(policy: Policy<Value, Id>): PolicyCache<Value, Id> {
    return new PolicyCache(this, policy, this.#policyOptions[policy.name])
  }

  /** A function that remembers its results under the key that `key` makes of its arguments. */
  wrap<Arguments extends readonly unknown[], Value>(
    load: (...parameters: Arguments) => Promise<Value>,
    { key, ...options }: LoadOptions & { readonly key: (...parameters: Arguments) => string },
  ): (...parameters: Arguments) => Promise<Value> {
    return (...parameters) => this.getOrLoad(key(...parameters), () => load(...parameters), options)
  }

  /** Resolves when Redis answers and the log was read; at once without Redis. @throws TimeoutError */
  async ready(timeoutMs = 5_000): Promise<void> {
    if (this.#parts.side === undefined) return
    const timedOut = Promise.withResolvers<never>()
    const waiting = new AbortController()
    const timer = this.#parts.limits.clock.setTimeout(() => {
      const what = `connecting cache '${this.namespace}' to Redis`
      timedOut.reject(new TimeoutError(what, timeoutMs))
    }, timeoutMs)
    const ready = this.#parts.side.ready(waiting.signal)
    await Promise.race([ready, timedOut.promise]).finally(() => {
      timer.cancel()
      // Aborted when the time is over, it rejects, and the caller has been told by then.
      ready.catch(() => undefined)
      waiting.abort()
    })
  }

  stats(): CacheStats {
    return statsOf(this.#parts)
  }

  /** How it fares now; asks nobody, so it never hangs. */
  health(): Promise<CacheHealth> {
    return Promise.resolve(healthOf(this.#parts))
  }

  /** Aborts loads, tells Redis what it can still be told, and closes the connections. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#parts.loads.close()
    await this.#parts.invalidations.close()
    await this.#parts.side?.close()
    this.#memory?.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #find(key: string, isValid: EntryOptions['isValid']): Promise<unknown> {
    this.#assertUsable(key)
    const memory = this.#memory
    const slot = memory?.find(key) ?? -1
    if (
      memory !== undefined &&
      slot >= 0 &&
      memory.isTrusted(slot) &&
      memory.freshnessAt(slot) === 'stale'
    ) {
      this.#countStale()
      return this.#given(memory.valueAt(slot))
    }
    const read = await this.#parts.many.readOne(key, isValid)
    if (read !== undefined) {
      this.#countRead(read)
      return read.kind === 'hit' && isServable(read) ? read.value : undefined
    }
    this.#tallies.misses.inc()
    const kept = this.#parts.side === undefined ? -1 : (memory?.find(key) ?? -1)
    return memory !== undefined && kept >= 0 && memory.hasGrace(kept)
      ? this.#given(memory.valueAt(kept))
      : undefined
  }

  async #load(
    key: string,
    loader: Loader<unknown>,
    options: LoadOptions | undefined,
  ): Promise<unknown> {
    this.#assertUsable(key)
    const request: LoadRequest = {
      key,
      loader: this.#preparing(loader),
      options,
      entry: this.#entryOptions(options),
    }
    const memory = this.#memory
    const slot = memory?.find(key) ?? -1
    if (memory === undefined || slot < 0) {
      if (this.#parts.side === undefined) this.#tallies.misses.inc()
      return this.#parts.loads.load(request)
    }
    const value = memory.valueAt(slot)
    const isTrusted = memory.isTrusted(slot)
    if (isTrusted && options?.refresh !== true && memory.freshnessAt(slot) === 'stale') {
      this.#countStale()
      this.#parts.loads.refresh(request)
      return this.#given(value)
    }
    if (this.#parts.side === undefined) this.#tallies.misses.inc()
    return this.#parts.loads.load(
      request,
      isTrusted || memory.hasGrace(slot) ? { value, isServable: isTrusted } : undefined,
    )
  }

  #findManyInMemory(keys: readonly string[]): { found: Map<string, unknown>; missing: string[] } {
    const found = new Map<string, unknown>()
    const missing: string[] = []
    for (const key of keys) {
      const slot = this.#memory?.hit(key) ?? -1
      if (slot < 0 || this.#memory === undefined) {
        this.#assertUsable(key)
        missing.push(key)
        continue
      }
      const value = this.#memory.valueAt(slot)
      if (value !== undefined) found.set(key, this.#given(value))
    }
    this.#tallies.memoryHits.inc(keys.length - missing.length)
    return { found, missing }
  }

  #preparing(loader: Loader<unknown>): Loader<unknown> {
    if (this.#sharing === 'share') return loader
    return async (context) => prepareValue(await loader(context), this.#sharing)
  }

  #givenAt(memory: MemoryTier, slot: number): Promise<unknown> {
    if (this.#sharing !== 'clone') return memory.promiseAt(slot)
    return Promise.resolve(structuredClone(memory.valueAt(slot)))
  }

  #given(value: unknown): unknown {
    return this.#sharing === 'clone' ? structuredClone(value) : value
  }

  #entryOptions(options: EntryOptions | undefined): ResolvedEntryOptions {
    return resolveEntryOptions(options, this.#parts.defaults)
  }

  #countRead(read: SharedRead): void {
    if (read.kind === 'miss') this.#tallies.misses.inc()
    else this.#tallies.redisHits.inc()
  }

  #countStale(): void {
    this.#tallies.memoryHits.inc()
    this.#tallies.staleHits.inc()
  }

  #assertUsable(key: string): void {
    checkKey(key)
    if (this.#isClosed) throw new ClosedError(`cache '${this.namespace}'`)
  }
}

/** A cache over memory and, if told where, Redis. It connects by itself; see {@link Cache.ready}. */
export function createCache(options: CacheOptions): Cache {
  return new Cache(options)
}

function isServable({ ageMs, header }: Extract<SharedRead, { kind: 'hit' }>): boolean {
  return ageMs < header.ttlMs + header.staleMs
}
