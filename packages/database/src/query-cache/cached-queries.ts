import { hash } from 'node:crypto'
import { ClosedError } from '@dharma/core'
import type {
  PostgresManager,
  QueryOptions,
  QueryResult,
  SqlStatement,
  Subscription,
  Transaction,
} from '../postgres/index.ts'
import { isMovingTime } from '../sql/moving-time.ts'
import {
  resolveCachedQueriesOptions,
  type CachedQueriesOptions,
  type CachedQueriesSettings,
} from './cached-queries-options.ts'
import { CHANGE_CHANNEL } from './change-triggers.ts'
import { Invalidator } from './invalidator.ts'
import { NotCacheableError } from './not-cacheable-error.ts'
import { parameterKey } from './parameter-key.ts'
import { Plans } from './plans.ts'
import type { QueryCache, QueryCacheContext, QueryCacheOptions } from './query-cache.ts'
import { planRead, type ReadPlan } from './read-plan.ts'
import { ServerCatalog } from './server-catalog.ts'
import { closureOfTables, planWrite, type WritePlan } from './write-plan.ts'
import { WriteWatch } from './write-watch.ts'

export interface CachedQueryOptions extends Omit<QueryOptions, 'replica'> {
  /** How long a result is kept at most, whatever is or is not written. At least 1. */
  readonly ttlMs: number
  /** How long after that it is served still, while one reload runs behind. @default the cache's */
  readonly staleMs?: number | undefined
  /**
   * The transaction in which this is read. Once it has written, it reads from the server; before,
   * it takes what is in the cache, and leaves nothing there.
   */
  readonly transaction?: Transaction | undefined
}

export interface CachedQueriesStats {
  /** Reads that the cache was asked for. */
  readonly reads: number
  /** Of these, those for which the server was asked. */
  readonly loads: number
  /** Reads past the cache: refused statements, transactions that wrote, a cache that failed. */
  readonly bypassed: number
  readonly invalidations: number
  /** Writes of which it was not known what they changed, so that all was dropped, by reason. */
  readonly wide: Readonly<Record<string, number>>
  /** Why nothing is cached any more; `undefined` while all is well. */
  readonly offBecause: string | undefined
}

/** What is known of a statement, made ready for the cache. */
interface ReadyPlan {
  readonly plan: ReadPlan
  readonly keyPrefix: string
  readonly tags: readonly string[]
  options: QueryCacheOptions | undefined
}

const MAX_PLANS = 2_000
const MAX_REASONS = 50

/**
 * Results of statements, kept in a cache until one of the tables that they read is written. What
 * this manager writes is seen by itself, after it was committed; for other writers there are
 * `installChangeTriggers` and {@link followChanges}; the TTL bounds the rest.
 *
 * Rows may be shared with other callers: do not change them. A cache that stores outside of the
 * process needs a codec that keeps dates, bytes and big integers, such as `v8Codec`.
 *
 * It reads from the primary only, since a replica may be behind the invalidation. After a failover
 * in which commits were lost, results that show them stay until their TTL.
 */
export class CachedQueries implements AsyncDisposable {
  readonly #manager: PostgresManager
  readonly #cache: QueryCache
  readonly #settings: CachedQueriesSettings
  readonly #catalog: ServerCatalog
  readonly #reads: Plans<ReadyPlan>
  readonly #writes: Plans<WritePlan>
  readonly #watch: WriteWatch
  readonly #invalidator: Invalidator
  readonly #observing: Disposable
  readonly #wide = new Map<string, number>()
  /** Numbers of the tables that have, or had, triggers that tell of changes. */
  readonly #telling = new Set<number>()
  #scope: Promise<string> | undefined
  #following: Promise<Subscription> | undefined
  #offBecause: string | undefined
  #isClosed = false
  #readCount = 0
  #loadCount = 0
  #bypassCount = 0

  /** @throws RangeError naming option, limit and value */
  constructor(manager: PostgresManager, cache: QueryCache, options: CachedQueriesOptions = {}) {
    const settings = resolveCachedQueriesOptions(options)
    const limits = { ttlMs: settings.catalogTtlMs, clock: settings.clock, max: MAX_PLANS }
    this.#manager = manager
    this.#cache = cache
    this.#settings = settings
    this.#catalog = new ServerCatalog(manager)
    this.#reads = new Plans((text) => this.#planRead(text), limits)
    this.#writes = new Plans((text) => planWrite(text, this.#catalog, settings), limits)
    this.#invalidator = new Invalidator(cache, settings.onError)
    this.#watch = new WriteWatch({
      onWritten: (texts) => this.#onWritten(texts),
      onSessionSet: () => {
        this.#offBecause ??= 'SET has made the sessions of the pool differ from each other'
      },
    })
    this.#observing = manager.observe(this.#watch)
  }

  /**
   * The result of a statement that only reads, from the cache where it is there.
   * @throws NotCacheableError with the reason, unless `onRefused` is `bypass`; what `manager.query` throws
   */
  query<Row = Record<string, unknown>>(
    statement: string | SqlStatement,
    values: readonly unknown[],
    options: CachedQueryOptions,
  ): Promise<QueryResult<Row>> {
    const isText = typeof statement === 'string'
    const text = isText ? statement : statement.text
    const parameters = isText ? values : statement.values
    const ready = this.#isPlain(options) ? this.#reads.known(text) : undefined
    const result =
      ready === undefined
        ? this.#queryLater(text, parameters, options)
        : this.#serve(ready, text, parameters, options)
    return result as Promise<QueryResult<Row>>
  }

  /** How a statement would be cached, or why not: for tests that a query stays cacheable. */
  async explain(text: string): Promise<ReadPlan> {
    return (await this.#reads.get(text)).plan
  }

  /** Tables that a statement is taken to change when it is sent through the manager. */
  async explainWrite(text: string): Promise<WritePlan> {
    return this.#writes.get(text)
  }

  /** Drops all results that depend on one of the tables: for changes that nobody tells of. */
  async invalidateTables(tables: readonly string[]): Promise<void> {
    const named = await this.#catalog.named(tables)
    await this.#invalidateOids(named.map(({ oid }) => oid))
  }

  /** Drops all results of this scope, and what is known of the schema. */
  async invalidateAll(): Promise<void> {
    this.#reads.clear()
    this.#writes.clear()
    await this.#invalidator.invalidate([await this.#scopeName()])
  }

  /**
   * Listens to what the triggers of `installChangeTriggers` tell, until closed. While the connection
   * is lost, changes by others go unseen; when it is back, all results are dropped that depend on a
   * table with such triggers, or that had them when this was called.
   */
  async followChanges(): Promise<void> {
    this.#following ??= this.#manager.listen(
      CHANGE_CHANNEL,
      ({ payload }) => void this.#onChange(Number(payload)),
      { onGap: () => void this.#onGap() },
    )
    await this.#following.catch((error: unknown) => {
      this.#following = undefined
      throw error
    })
    await this.#noteTelling()
  }

  stats(): CachedQueriesStats {
    return {
      reads: this.#readCount,
      loads: this.#loadCount,
      bypassed: this.#bypassCount,
      invalidations: this.#invalidator.invalidations,
      wide: Object.fromEntries(this.#wide),
      offBecause: this.#offBecause,
    }
  }

  /** Ends watching the manager; the manager and the cache stay open. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#observing[Symbol.dispose]()
    // Why it failed was told to the caller of `followChanges`.
    const following = await this.#following?.catch(() => undefined)
    await following?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #isPlain({ transaction }: CachedQueryOptions): boolean {
    if (this.#isClosed || transaction !== undefined) return false
    return !this.#invalidator.isOwing && this.#offBecause === undefined
  }

  async #queryLater(
    text: string,
    values: readonly unknown[],
    options: CachedQueryOptions,
  ): Promise<unknown> {
    if (this.#isClosed) throw new ClosedError('CachedQueries')
    const { transaction } = options
    if (transaction !== undefined && this.#watch.hasWritten(transaction)) {
      return this.#bypass(text, values, options)
    }
    // A transaction holds a connection: it must not wait for another to read the catalogue with.
    const ready = transaction === undefined ? await this.#reads.get(text) : this.#reads.known(text)
    if (ready?.plan.kind === 'refused' && this.#settings.onRefused === 'throw') {
      throw new NotCacheableError(ready.plan.reason)
    }
    if (this.#invalidator.isOwing) await this.#invalidator.pay()
    const isOff = this.#invalidator.isOwing || this.#offBecause !== undefined
    if (ready === undefined || ready.plan.kind === 'refused' || isOff) {
      return this.#bypass(text, values, options)
    }
    if (transaction === undefined) return this.#serve(ready, text, values, options)
    // A result of this transaction's snapshot may be older than the last invalidation: never stored.
    const kept = hasMovingTime(values)
      ? undefined
      : await this.#cache.get(ready.keyPrefix + parameterKey(values))
    return kept ?? this.#bypass(text, values, options)
  }

  #serve(
    ready: ReadyPlan,
    text: string,
    values: readonly unknown[],
    options: CachedQueryOptions,
  ): Promise<unknown> {
    if (ready.plan.kind === 'refused') return this.#queryLater(text, values, options)
    if (hasMovingTime(values)) return this.#bypass(text, values, options)
    this.#readCount += 1
    let isHit = true
    const load = ({ signal }: QueryCacheContext): Promise<unknown> => {
      isHit = false
      this.#loadCount += 1
      return this.#manager.query(text, values, { timeoutMs: options.timeoutMs, signal })
    }
    const key = ready.keyPrefix + parameterKey(values)
    const result = this.#cache.getOrLoad(key, load, this.#optionsOf(ready, options))
    const { onHit } = this.#settings
    if (onHit === undefined) return result
    return result.then((value) => {
      if (isHit) onHit(text)
      return value
    })
  }

  /** Mostly the same for every call of a statement. */
  #optionsOf(ready: ReadyPlan, { ttlMs, staleMs, signal }: CachedQueryOptions): QueryCacheOptions {
    const last = ready.options
    if (last !== undefined && last.ttlMs === ttlMs && last.staleMs === staleMs && !signal) {
      return last
    }
    const { tags } = ready
    const base = staleMs === undefined ? { ttlMs, tags } : { ttlMs, tags, staleMs }
    if (signal !== undefined) return { ...base, signal }
    ready.options = base
    return base
  }

  #bypass(
    text: string,
    values: readonly unknown[],
    { timeoutMs, signal, transaction }: CachedQueryOptions,
  ): Promise<unknown> {
    this.#bypassCount += 1
    const options = { timeoutMs, signal }
    if (transaction !== undefined) return transaction.query(text, values, options)
    return this.#manager.query(text, values, options)
  }

  async #planRead(text: string): Promise<ReadyPlan> {
    const [plan, scope] = await Promise.all([
      planRead(text, this.#catalog, this.#settings),
      this.#scopeName(),
    ])
    if (plan.kind === 'refused') return { plan, keyPrefix: '', tags: [], options: undefined }
    const keyPrefix = `${scope}:${plan.keyPrefix}`
    const tags = [scope, ...plan.tables.map((table) => `${scope}:${table}`)]
    return { plan, keyPrefix, tags, options: undefined }
  }

  /** Short, and apart from others: the beginning of every key and tag. */
  #scopeName(): Promise<string> {
    const { scope } = this.#settings
    if (scope !== undefined) return Promise.resolve(`sql:${scope}`)
    this.#scope ??= this.#catalog.scope().then(
      (facts) => `sql:${hash('sha256', facts, 'base64url').slice(0, 16)}`,
      (error: unknown) => {
        this.#scope = undefined
        throw error
      },
    )
    return this.#scope
  }

  /** Never rejects, for the write was done: if in doubt, everything is dropped. */
  async #onWritten(texts: Iterable<string>): Promise<void> {
    const tables = new Set<string>()
    let reason: string | undefined
    let isSchema = false
    for (const text of texts) {
      const plan = await this.#writes.get(text).catch((): WritePlan => {
        return { kind: 'anything', reason: 'what a statement wrote could not be found out' }
      })
      if (plan.kind === 'tables') for (const table of plan.tables) tables.add(table)
      if (plan.kind === 'anything') reason = plan.reason
      isSchema ||= plan.kind === 'schema'
    }
    if (isSchema) reason ??= 'a statement changed the schema'
    if (reason === undefined && tables.size === 0) return
    const scope = await this.#scopeName().catch(() => undefined)
    // Without a scope nothing was ever cached by this instance; others have their TTLs.
    if (scope === undefined) return
    if (isSchema) {
      this.#reads.clear()
      this.#writes.clear()
    }
    if (reason === undefined) {
      await this.#invalidator.invalidate([...tables].map((table) => `${scope}:${table}`))
      return
    }
    if (this.#wide.size < MAX_REASONS || this.#wide.has(reason)) {
      this.#wide.set(reason, (this.#wide.get(reason) ?? 0) + 1)
    }
    await this.#invalidator.invalidate([scope])
  }

  async #onChange(oid: number): Promise<void> {
    await this.#invalidateOids([oid]).catch((error: unknown) => this.#dropAll(error))
  }

  /** Changes of tables without triggers would not have been told of either. */
  async #onGap(): Promise<void> {
    try {
      await this.#noteTelling()
      await this.#invalidateOids([...this.#telling])
    } catch (error) {
      await this.#dropAll(error)
    }
  }

  async #noteTelling(): Promise<void> {
    for (const oid of await this.#catalog.tellingTables()) this.#telling.add(oid)
  }

  async #dropAll(cause: unknown): Promise<void> {
    this.#settings.onError(cause)
    await this.invalidateAll().catch(this.#settings.onError)
  }

  async #invalidateOids(oids: readonly number[]): Promise<void> {
    const [scope, tables] = await Promise.all([
      this.#scopeName(),
      closureOfTables(oids, this.#catalog),
    ])
    await this.#invalidator.invalidate(tables.map((table) => `${scope}:${table}`))
  }
}

/** A parameter such as `'today'` may be read as a time that moves. */
function hasMovingTime(values: readonly unknown[]): boolean {
  for (const value of values) if (typeof value === 'string' && isMovingTime(value)) return true
  return false
}
