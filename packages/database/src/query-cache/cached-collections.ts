import { hash } from 'node:crypto'
import { ClosedError } from '@dharma/core'
import type { Document, Filter } from 'mongodb'
import type { AggregationOptions, MongoManager, ReadOptions } from '../mongodb/index.ts'
import {
  resolveCachedCollectionsOptions,
  type CachedCollectionsOptions,
  type CachedCollectionsSettings,
} from './cached-collections-options.ts'
import { ChangeFollower, type FollowOptions } from './change-follower.ts'
import { CollectionCatalog } from './collection-catalog.ts'
import { readsOfPipeline, refusalOfValue, type CollectionReads } from './collection-reads.ts'
import { CollectionWriteWatch } from './collection-write-watch.ts'
import { documentKey } from './document-key.ts'
import { Invalidator } from './invalidator.ts'
import { NotCacheableError } from './not-cacheable-error.ts'
import type { QueryCache, QueryCacheContext } from './query-cache.ts'

/** How long a result is kept. */
export interface CachedReadTimes {
  /** How long a result is kept at most, whatever is or is not written. At least 1. */
  readonly ttlMs: number
  /** How long after that it is served still, while one reload runs behind. @default the cache's */
  readonly staleMs?: number | undefined
}

/** With a `session`, which is that of a transaction, it is read from the server. */
export interface CachedFindOptions
  extends CachedReadTimes, Omit<ReadOptions, 'readPreference' | 'readConcern'> {}

/** With a `session`, which is that of a transaction, it is read from the server. */
export interface CachedAggregationOptions
  extends CachedReadTimes, Omit<AggregationOptions, 'readPreference' | 'readConcern'> {}

export interface CachedCollectionsStats {
  /** Reads that the cache was asked for. */
  readonly reads: number
  /** Of these, those for which the server was asked. */
  readonly loads: number
  /** Reads past the cache: refused queries, transactions, a cache that failed. */
  readonly bypassed: number
  readonly invalidations: number
  /** Why nothing is cached any more; `undefined` while all is well. */
  readonly offBecause: string | undefined
}

/** One read, as the cache sees it. */
interface Read<Result> {
  readonly operation: string
  readonly collection: string
  readonly reads: CollectionReads
  readonly asked: readonly unknown[]
  readonly options: CachedReadTimes & Pick<ReadOptions, 'session' | 'signal'>
  readonly load: (fresh: FreshRead) => Promise<Result>
}

/** Options that make a read see all that was invalidated before it. */
interface FreshRead {
  readonly readPreference: 'primary'
  readonly readConcern: { readonly level: 'local' | 'majority' }
  readonly signal?: AbortSignal
}

/**
 * Results of `find`, `findOne` and `aggregate`, kept in a cache until one of the collections that
 * they read is written. What this manager writes is seen by itself, after it was committed; for
 * other writers there is {@link followChanges}; the TTL bounds the rest, such as a write that was
 * given up and carried out later.
 *
 * It reads from the primary whatever the manager's `consistency`, since a secondary may be behind
 * the invalidation. Documents may be shared with other callers: do not change them. A cache that
 * stores outside of the process needs a codec that keeps BSON's types: see {@link bsonCodec}.
 */
export class CachedCollections implements AsyncDisposable {
  readonly #manager: MongoManager
  readonly #cache: QueryCache
  readonly #settings: CachedCollectionsSettings
  readonly #catalog: CollectionCatalog
  readonly #invalidator: Invalidator
  readonly #observing: Disposable
  readonly #follower: ChangeFollower
  #scope: Promise<string> | undefined
  #isClosed = false
  #readCount = 0
  #loadCount = 0
  #bypassCount = 0

  /** @throws RangeError naming option, limit and value */
  constructor(manager: MongoManager, cache: QueryCache, options: CachedCollectionsOptions = {}) {
    const settings = resolveCachedCollectionsOptions(options)
    const { catalogTtlMs, clock, onError } = settings
    this.#manager = manager
    this.#cache = cache
    this.#settings = settings
    this.#catalog = new CollectionCatalog(manager, catalogTtlMs, clock)
    this.#invalidator = new Invalidator(cache, onError)
    this.#observing = manager.observe(
      new CollectionWriteWatch((written) => this.#onWritten(written)),
    )
    this.#follower = new ChangeFollower(manager, {
      onChanged: (changed) => this.#onWritten(changed),
      onAnything: () => this.#dropAll(),
      onError,
    })
  }

  /**
   * The documents that match, from the cache where they are there.
   * @throws NotCacheableError with the reason, unless `onRefused` is `bypass`; what `manager.find` throws
   */
  find<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    options: CachedFindOptions,
  ): Promise<readonly T[]> {
    const { ttlMs: _ttlMs, staleMs: _staleMs, ...rest } = options
    return this.#read({
      operation: 'find',
      collection,
      reads: readsOfFind(collection, filter, rest),
      asked: [filter, askedOf(rest)],
      options,
      load: (fresh) => this.#manager.find<T>(collection, filter, { ...rest, ...fresh }),
    })
  }

  /** One document that matches. @throws as {@link find} does */
  async findOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    options: CachedFindOptions,
  ): Promise<T | undefined> {
    const { ttlMs: _ttlMs, staleMs: _staleMs, ...rest } = options
    const [found] = await this.#read({
      operation: 'findOne',
      collection,
      reads: readsOfFind(collection, filter, rest),
      asked: [filter, askedOf(rest)],
      options,
      load: async (fresh): Promise<readonly T[]> => {
        const one = await this.#manager.findOne<T>(collection, filter, { ...rest, ...fresh })
        // That there is none is worth being kept too.
        return one === undefined ? [] : [one]
      },
    })
    return found
  }

  /** What a pipeline makes of the documents. @throws as {@link find} does */
  aggregate<T extends Document = Document>(
    collection: string,
    pipeline: readonly Document[],
    options: CachedAggregationOptions,
  ): Promise<readonly T[]> {
    const { ttlMs: _ttlMs, staleMs: _staleMs, ...rest } = options
    return this.#read({
      operation: 'aggregate',
      collection,
      reads: readsOfPipeline(collection, pipeline),
      asked: [pipeline, askedOf(rest)],
      options,
      load: (fresh) => this.#manager.aggregate<T>(collection, pipeline, { ...rest, ...fresh }),
    })
  }

  /** Collections that a pipeline's result depends on, views looked through, or why it is not cached. */
  async explain(collection: string, pipeline: readonly Document[] = []): Promise<CollectionReads> {
    const reads = readsOfPipeline(collection, pipeline)
    return reads.kind === 'refused' ? reads : this.#catalog.behind(reads.collections)
  }

  /** Drops all results that depend on one of the collections: for changes that nobody tells of. */
  async invalidateCollections(collections: readonly string[]): Promise<void> {
    await this.#onWritten(collections)
  }

  /** Drops all results of this scope, and what is known of views. */
  async invalidateAll(): Promise<void> {
    this.#catalog.clear()
    await this.#invalidator.invalidate([await this.#scopeName()])
  }

  /**
   * Follows the changes of the database until closed, whoever makes them; needs a replica set. While
   * the connection is lost, changes by others go unseen; when it is back they are made up for, or,
   * where the server has them no more, all results are dropped.
   */
  async followChanges(options: FollowOptions = {}): Promise<void> {
    await this.#follower.start(options)
  }

  stats(): CachedCollectionsStats {
    return {
      reads: this.#readCount,
      loads: this.#loadCount,
      bypassed: this.#bypassCount,
      invalidations: this.#invalidator.invalidations,
      offBecause: this.#follower.failure,
    }
  }

  /** Ends watching the manager; the manager and the cache stay open. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#observing[Symbol.dispose]()
    await this.#follower.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #read<Result>(read: Read<Result>): Promise<Result> {
    if (this.#isClosed) throw new ClosedError('CachedCollections')
    const { operation, collection, asked, load, options } = read
    const { session, signal, ttlMs, staleMs } = options
    // What a transaction sees is its own, and may be older than the last invalidation.
    if (session !== undefined) return this.#bypass(read)
    const reads =
      read.reads.kind === 'reads' ? await this.#catalog.behind(read.reads.collections) : read.reads
    if (reads.kind === 'refused') {
      if (this.#settings.onRefused === 'throw') throw new NotCacheableError(reads.reason)
      return this.#bypass(read)
    }
    if (this.#invalidator.isOwing) await this.#invalidator.pay()
    if (this.#invalidator.isOwing || this.#follower.failure !== undefined) return this.#bypass(read)
    const scope = await this.#scopeName()
    this.#readCount += 1
    const key = `${scope}:${operation}:${collection}:${documentKey(asked)}`
    const tags = [scope, ...reads.collections.map((name) => `${scope}:${name}`)]
    const loadFresh = (context: QueryCacheContext): Promise<Result> => {
      this.#loadCount += 1
      return load({ ...this.#fresh(), ...(context.signal ? { signal: context.signal } : {}) })
    }
    return this.#cache.getOrLoad(key, loadFresh, {
      ttlMs,
      tags,
      ...(staleMs === undefined ? {} : { staleMs }),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  #bypass<Result>({ load, options: { session, signal } }: Read<Result>): Promise<Result> {
    this.#bypassCount += 1
    // In a transaction these are the transaction's.
    const own = session === undefined ? this.#fresh() : {}
    return load({ ...own, ...(signal ? { signal } : {}) } as FreshRead)
  }

  /**
   * Where writes wait for a majority, reads take what a majority has, which no failover undoes; else
   * they take the primary's state, as what was written may not be with a majority yet.
   */
  #fresh(): FreshRead {
    const isMajority = this.#manager.database.writeConcern?.w === 'majority'
    return {
      readPreference: 'primary',
      readConcern: { level: isMajority ? 'majority' : 'local' },
    }
  }

  /** Short, and apart from others: the beginning of every key and tag. */
  #scopeName(): Promise<string> {
    const { scope } = this.#settings
    if (scope !== undefined) return Promise.resolve(`mongo:${scope}`)
    this.#scope ??= this.#catalog.scope().then(
      (facts) => `mongo:${hash('sha256', facts, 'base64url').slice(0, 16)}`,
      (error: unknown) => {
        this.#scope = undefined
        throw error
      },
    )
    return this.#scope
  }

  /** Never rejects, for the write was done. */
  async #onWritten(collections: Iterable<string>): Promise<void> {
    const scope = await this.#scopeName().catch(() => undefined)
    // Without a scope nothing was ever cached by this instance; others have their TTLs.
    if (scope === undefined) return
    await this.#invalidator.invalidate([...collections].map((name) => `${scope}:${name}`))
  }

  async #dropAll(): Promise<void> {
    try {
      await this.invalidateAll()
    } catch (error) {
      this.#settings.onError(error)
    }
  }
}

function readsOfFind(collection: string, filter: unknown, options: ReadOptions): CollectionReads {
  const reason = refusalOfValue(filter) ?? refusalOfValue(options.projection ?? null)
  return reason === undefined
    ? { kind: 'reads', collections: [collection] }
    : { kind: 'refused', reason }
}

/** What of the options the result depends on. */
function askedOf(options: AggregationOptions): object {
  const { session: _session, signal: _signal, timeoutMs: _timeoutMs, ...rest } = options
  return rest
}
