import type { PoolStats } from '@dharma/async/connection-pool'
import { BulkOperations, type LineOptions } from './copy/bulk-operations.ts'
import type { CopyLine } from './copy/copy-line.ts'
import { EndpointSet, type EndpointStats } from './endpoints/endpoint-set.ts'
import { formatLsn } from './endpoints/lsn.ts'
import {
  Listener,
  type ListenOptions,
  type NotificationHandler,
  type Subscription,
} from './listener.ts'
import { loadMany, type LoadManyOptions, type PointKey } from './load-many.ts'
import type { FastLaneStats } from './pipeline/lane-stats.ts'
import { explainStatement, type ExplainOptions, type Explanation } from './plan/explain.ts'
import { PointLoader, type PointLoaderOptions } from './point-loader.ts'
import type { PoolScaling } from './pool-scaler.ts'
import {
  resolvePostgresOptions,
  type PostgresManagerOptions,
  type PostgresSettings,
} from './postgres-options.ts'
import { QueryMetrics } from './query-metrics.ts'
import { QueryObservers, type QueryObserver } from './query-observer.ts'
import { streamRows, type StreamOptions } from './row-stream.ts'
import type { QueryOptions, QueryResult } from './session.ts'
import type { SqlStatement } from './sql.ts'
import { transact } from './transact.ts'
import type { Transaction, TransactionOptions } from './transaction.ts'

/** The primary's pool of exclusive sessions and shared connections, and all servers. */
export interface PostgresStats extends PoolStats {
  readonly endpoints: readonly EndpointStats[]
  /** `undefined` where `pool.autoscale` is off. */
  readonly scaling: PoolScaling | undefined
  /** `undefined` where `pipeline` is off. */
  readonly pipeline: FastLaneStats | undefined
}

const NO_VALUES: readonly unknown[] = []
const NO_OPTIONS: QueryOptions = {}

/**
 * PostgreSQL with a deadline on every operation: a caller is always answered in time, a statement
 * that overstays is cancelled on the server, and a session that no longer answers is replaced.
 */
export class PostgresManager extends BulkOperations implements AsyncDisposable {
  readonly #settings: PostgresSettings
  readonly #endpoints: EndpointSet
  readonly #listener: Listener
  readonly #metrics: QueryMetrics
  readonly #observers: QueryObservers

  /** @throws TypeError for a wrong URL, RangeError naming option, limit and value */
  constructor(options: PostgresManagerOptions) {
    super()
    const settings = resolvePostgresOptions(options)
    this.#settings = settings
    this.#observers = new QueryObservers(settings.clock)
    this.#metrics = new QueryMetrics(settings.metrics, settings.name, settings.clock)
    this.#endpoints = new EndpointSet(settings, this.#metrics, () => this.#listener.move())
    this.#listener = new Listener(settings, () => this.#endpoints.primary.settings)
  }

  /**
   * Opens the connections of `pool.min` now, so that a wrong address or password is known at start.
   * Operations connect by themselves if this was not called. @throws CreateFailedError
   */
  async connect(): Promise<this> {
    await this.#endpoints.connect()
    return this
  }

  /**
   * Runs one statement: text with `$1` … and its values, or a statement made by `sql`. Statements
   * known to be short share connections (see `pipeline`); a statement that only reads is sent again
   * when its connection is lost, any other never. What was not sent waits for a server that is away,
   * for `outageWaitMs`.
   * @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError, PostgresUnavailableError, AcquireTimeoutError
   */
  query<Row = Record<string, unknown>>(
    statement: string | SqlStatement,
    values: readonly unknown[] = NO_VALUES,
    options: QueryOptions = NO_OPTIONS,
  ): Promise<QueryResult<Row>> {
    const { text, values: parameters } =
      typeof statement === 'string' ? { text: statement, values } : statement
    const run = (): Promise<QueryResult<unknown>> => {
      return this.#endpoints.run(text, parameters, options)
    }
    const result = this.#observers.isEmpty ? run() : this.#observers.watch(text, parameters, run)
    return result as Promise<QueryResult<Row>>
  }

  /**
   * The rows of one statement at constant memory, in a session of their own for as long as the loop
   * over them lasts. `timeoutMs` is the longest time of each batch.
   * @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError, AcquireTimeoutError
   */
  stream<Row = Record<string, unknown>>(
    statement: string | SqlStatement,
    values: readonly unknown[] = NO_VALUES,
    { timeoutMs = this.#settings.queryTimeoutMs, ...options }: StreamOptions = {},
  ): AsyncGenerator<Row, void, undefined> {
    const prepared = typeof statement === 'string' ? { text: statement, values } : statement
    const rows = streamRows<Row>(this.#endpoints, prepared, { ...options, timeoutMs })
    if (this.#observers.isEmpty) return rows
    return this.#observers.watchRows(prepared.text, prepared.values, rows)
  }

  /**
   * The rows of `keys`, in their order, `undefined` where there is none.
   * @param table as SQL writes it: `posts`, `app.posts`, `"Posts"`
   * @param keyColumn a column whose values are unique
   */
  loadMany<Row = Record<string, unknown>>(
    table: string,
    keyColumn: string,
    keys: readonly PointKey[],
    options: LoadManyOptions = {},
  ): Promise<(Row | undefined)[]> {
    return loadMany<Row>(this, table, keyColumn, keys, options)
  }

  /** A loader that reads the rows asked for in the same turn of the event loop by one statement. */
  loader<Row = Record<string, unknown>>(
    table: string,
    keyColumn: string,
    options: PointLoaderOptions = {},
  ): PointLoader<Row> {
    return new PointLoader<Row>(this, table, keyColumn, options)
  }

  /**
   * Calls `handler` with each notification of `channel`, on a connection that all channels share.
   * It is opened anew when it is lost; what was sent meanwhile is lost too, which `onGap` says.
   * @throws PostgresConnectionError when it cannot be opened now
   */
  listen(
    channel: string,
    handler: NotificationHandler,
    options: ListenOptions = {},
  ): Promise<Subscription> {
    return this.#listener.listen(channel, handler, options)
  }

  /**
   * The plan of a statement and what is wrong with it. Run only with `analyze`, and then undone.
   * @throws TypeError for several statements in one text, PostgresQueryError, PostgresTimeoutError
   */
  explain(
    statement: string | SqlStatement,
    values: readonly unknown[] = NO_VALUES,
    options: ExplainOptions = {},
  ): Promise<Explanation> {
    const prepared = typeof statement === 'string' ? { text: statement, values } : statement
    const line: LineOptions = { ...options, operation: 'explain' }
    return this.lend(line, (session) => explainStatement(session, prepared, options))
  }

  /** Sends a notification to all who listen on `channel`. */
  async notify(channel: string, payload = '', options: QueryOptions = NO_OPTIONS): Promise<void> {
    await this.query('select pg_notify($1, $2)', [channel, payload], options)
  }

  /**
   * Runs `fn` in a transaction: commits when it resolves, rolls back when it rejects. Run again from
   * the start only where the server says that nothing was done (see `maxAttempts`); an unclear
   * COMMIT is never repeated.
   */
  async transaction<R>(
    fn: (transaction: Transaction) => Promise<R>,
    options: TransactionOptions = {},
  ): Promise<R> {
    return this.#metrics.time('transaction', () => {
      return transact(this.#endpoints, this.#settings, this.#observers, fn, options)
    })
  }

  /**
   * Runs `fn` so that reads with `replica: true` in it, and in all that it calls, see what was
   * written before them in it: they go to a replica that has replayed that, else to the primary.
   * @param after what an earlier request wrote, by {@link writePosition}, such as from a cookie
   */
  readYourWrites<R>(fn: () => R, { after }: { readonly after?: string | undefined } = {}): R {
    return this.#endpoints.readYourWrites(fn, after)
  }

  /** A place in the log such as `16/B374D848`, before which all lies that `readYourWrites` around this call wrote. */
  async writePosition(): Promise<string> {
    return formatLsn(await this.#endpoints.position())
  }

  /** Reads once from the server. @throws PostgresConnectionError, PostgresTimeoutError */
  async ping(options: QueryOptions = {}): Promise<void> {
    await this.query('select 1', [], options)
  }

  /** Lets an observer hear of each statement and transaction, before its caller does, until disposed. */
  observe(observer: QueryObserver): Disposable {
    return this.#observers.add(observer)
  }

  stats(): PostgresStats {
    const { sessions, runner, scaler } = this.#endpoints.primary
    const endpoints = this.#endpoints.stats()
    return {
      ...sessions.stats(),
      pipeline: runner.laneStats(),
      endpoints,
      scaling: scaler?.scaling,
    }
  }

  /** Lets running operations end within `deadlineMs`, then closes all connections. */
  async close({ deadlineMs = 5_000 }: { readonly deadlineMs?: number } = {}): Promise<void> {
    await Promise.all([this.#listener.close(), this.#endpoints.close(deadlineMs)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  protected lend<R extends object>(
    {
      signal,
      replica,
      timeoutMs = this.#settings.queryTimeoutMs,
      statement,
      operation = 'copy',
    }: LineOptions,
    work: (line: CopyLine) => Promise<R>,
  ): Promise<R> {
    const run = (): Promise<R> => {
      return this.#metrics.time(operation, () => {
        return this.#endpoints.use({ timeoutMs, signal, replica }, (session) => {
          return session.lend({ timeoutMs, signal }, work)
        })
      })
    }
    if (statement === undefined || this.#observers.isEmpty) return run()
    return this.#observers.watch(statement, [], run)
  }
}
