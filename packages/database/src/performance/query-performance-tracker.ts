import { readFile, writeFile } from 'node:fs/promises'
import type { MongoManager, MongoObserver, ObservedOperation } from '../mongodb/index.ts'
import type { ObservedStatement, PostgresManager, QueryObserver } from '../postgres/index.ts'
import {
  compareWithBaseline,
  parseBaseline,
  type PerformanceBaseline,
  type RegressionLimits,
} from './baseline.ts'
import { mongoShape } from './mongo-shape.ts'
import {
  resolvePerformanceOptions,
  type QueryPerformanceOptions,
  type QueryPerformanceSettings,
} from './query-performance-options.ts'
import { problemsOf, type QueryProblem } from './query-problems.ts'
import { trackedOf, type TrackedQuery } from './query-tally.ts'
import { sampledValue } from './redact-value.ts'
import { RepeatedQueries, type RepeatedQuery } from './repeated-queries.ts'
import { SlowQueries, type SlowQuery } from './slow-queries.ts'
import { TrackedStatements, type TrackedItem } from './tracked-statements.ts'

/** Nothing in it is a value of a query. */
export interface QueryReport {
  /** By total time, the greatest first. */
  readonly queries: readonly TrackedQuery[]
  /** In the order in which they ended. */
  readonly slow: readonly SlowQuery[]
  readonly repeated: readonly RepeatedQuery[]
  /** What is wrong, why, since when, and what to do, the costliest first. */
  readonly problems: readonly QueryProblem[]
}

export interface QueryReportOptions extends RegressionLimits {
  /** What to compare with. @default nothing */
  readonly baseline?: PerformanceBaseline | undefined
}

/**
 * What queries cost, by fingerprint, in bounded memory. Watches managers by {@link watch}; parameters
 * are sampled for an index advisor, stay in memory, and are in no report.
 */
export class QueryPerformanceTracker {
  readonly #settings: QueryPerformanceSettings
  readonly #statements: TrackedStatements
  readonly #repeated: RepeatedQueries
  readonly #slow: SlowQueries

  /** @throws RangeError naming option, limit and value */
  constructor(options: QueryPerformanceOptions = {}) {
    const settings = resolvePerformanceOptions(options)
    this.#settings = settings
    this.#statements = new TrackedStatements(settings.maxQueries, settings.random)
    this.#repeated = new RepeatedQueries(settings)
    this.#slow = new SlowQueries(settings)
  }

  /**
   * Counts the statements of a manager, or the operations of one of MongoDB, until disposed. Slow
   * statements are explained through their manager, rarely.
   */
  watch(manager: PostgresManager | MongoManager): Disposable {
    if ('explain' in manager) {
      const { slowMs } = this.#settings
      const observer: QueryObserver = {
        onStatement: (statement) => {
          const item = this.#onStatement(statement)
          if (statement.elapsedMs >= slowMs) {
            this.#slow.noteStatement(item.value, statement, manager)
          }
          return undefined
        },
      }
      return manager.observe(observer)
    }
    const observer: MongoObserver = {
      onOperation: (operation) => {
        this.#onOperation(operation)
        return undefined
      },
    }
    return manager.observe(observer)
  }

  /** Counts one operation of MongoDB that no watched manager has run. */
  recordMongo(
    operation: string,
    collection: string,
    query: unknown,
    outcome: { readonly elapsedMs: number; readonly documents?: number; readonly error?: unknown },
  ): void {
    const { elapsedMs, documents, error } = outcome
    this.#onOperation({ operation, collection, query, elapsedMs, documentCount: documents, error })
  }

  /** A read that a cache has answered. */
  recordCacheHit(text: string): void {
    this.#statements.ofText(text).value.cacheHits += 1
  }

  /** Runs a request, in which queries sent again and again are noticed. */
  request<R>(name: string, fn: () => Promise<R>): Promise<R> {
    return this.#repeated.run(name, fn)
  }

  /** Parameters seen with a fingerprint, for an index advisor: 32 lists of them at most, chosen evenly. */
  samples(fingerprint: string): readonly (readonly unknown[])[] {
    return [...(this.#statements.get(fingerprint)?.samples.items ?? [])]
  }

  report({ baseline, ...limits }: QueryReportOptions = {}): QueryReport {
    const queries = this.#statements.top().map((item) => ({
      tally: item.value,
      tracked: trackedOf(item),
    }))
    const repeated = this.#repeated.list()
    const regressions =
      baseline === undefined ? [] : compareWithBaseline(baseline, this.baseline(), limits)
    const baselineMs = Date.parse(baseline?.createdAt ?? '')
    return {
      queries: queries.map(({ tracked }) => tracked),
      slow: this.#slow.list(),
      repeated,
      problems: problemsOf(queries, repeated, regressions, baselineMs),
    }
  }

  /** Resolves when all texts seen by now have been read and the plan under way has come. */
  async settled(): Promise<void> {
    await this.#statements.settled()
    await this.#slow.settled()
  }

  /** What is measured now, to be compared with later. */
  baseline(): PerformanceBaseline {
    const queries = this.#statements.top().map((item) => {
      const { fingerprint, statement, count, meanMs, p50Ms, p95Ms, planHash } = trackedOf(item)
      return { fingerprint, statement, count, meanMs, p50Ms, p95Ms, planHash }
    })
    const createdAt = new Date(this.#settings.clock.now()).toISOString()
    return { format: 'dharma-performance-baseline', version: 1, createdAt, queries }
  }

  /** Writes the {@link baseline} to a file. */
  async saveBaseline(path: string): Promise<void> {
    await this.settled()
    await writeFile(path, `${JSON.stringify(this.baseline(), undefined, 2)}\n`)
  }

  /** @throws TypeError where the file is no baseline */
  static async loadBaseline(path: string): Promise<PerformanceBaseline> {
    return parseBaseline(await readFile(path, 'utf8'))
  }

  #onStatement({ text, values, elapsedMs, rowCount, error }: ObservedStatement): TrackedItem {
    const item = this.#statements.ofText(text)
    this.#count(item, elapsedMs, rowCount, error)
    const { samples } = item.value
    if (samples.wants()) samples.put(values.map(sampledValue))
    return item
  }

  #onOperation({
    operation,
    collection,
    query,
    elapsedMs,
    documentCount,
    error,
  }: Pick<
    ObservedOperation,
    'operation' | 'collection' | 'query' | 'elapsedMs' | 'documentCount' | 'error'
  >): void {
    const item = this.#statements.ofShape(mongoShape(operation, collection, query))
    this.#count(item, elapsedMs, documentCount, error)
    if (elapsedMs >= this.#settings.slowMs) this.#slow.note(item.value, elapsedMs, [])
  }

  #count(item: TrackedItem, elapsedMs: number, rows: number | undefined, error: unknown): void {
    const tally = item.value
    item.weight += elapsedMs
    tally.latency.observe(elapsedMs)
    if (rows !== undefined) tally.rows += rows
    if (error !== undefined) {
      tally.errors += 1
      tally.failingSinceMs ??= this.#settings.clock.now()
    }
    this.#repeated.count(tally)
  }
}
