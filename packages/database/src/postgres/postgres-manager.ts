import type { PoolStats } from '@dharma/async/connection-pool'
import type { CopyIntoOptions, CopyResult, CopyRows } from './copy/copy-into.ts'
import { PostgresQueryError } from './errors.ts'
import {
  Listener,
  type ListenOptions,
  type NotificationHandler,
  type Subscription,
} from './listener.ts'
import { loadMany, type LoadManyOptions, type PointKey } from './load-many.ts'
import type { FastLaneStats } from './pipeline/lane-stats.ts'
import { PointLoader, type PointLoaderOptions } from './point-loader.ts'
import {
  resolvePostgresOptions,
  type PostgresManagerOptions,
  type PostgresSettings,
} from './postgres-options.ts'
import { QueryMetrics } from './query-metrics.ts'
import { streamRows, type StreamOptions } from './row-stream.ts'
import type { QueryOptions, QueryResult } from './session.ts'
import { Sessions } from './sessions.ts'
import type { SqlStatement } from './sql.ts'
import { StatementRunner } from './statement-runner.ts'
import { beginStatement, Transaction, type TransactionOptions } from './transaction.ts'

/** The pool of exclusive sessions, and the shared connections beside it. */
export interface PostgresStats extends PoolStats {
  /** `undefined` where `pipeline` is off. */
  readonly pipeline: FastLaneStats | undefined
}

const NO_VALUES: readonly unknown[] = []
const NO_OPTIONS: QueryOptions = {}

/** The server asks for the transaction to be run again: serialization failure, deadlock. */
const RETRY_STATES: ReadonlySet<string> = new Set(['40001', '40P01'])

/**
 * PostgreSQL with a deadline on every operation: a caller is always answered in time, a statement
 * that overstays is cancelled on the server, and a session that no longer answers is replaced.
 */
export class PostgresManager implements AsyncDisposable {
  readonly #settings: PostgresSettings
  readonly #sessions: Sessions
  readonly #runner: StatementRunner
  readonly #listener: Listener
  readonly #metrics: QueryMetrics

  /** @throws TypeError for a wrong URL, RangeError naming option, limit and value */
  constructor(options: PostgresManagerOptions) {
    const settings = resolvePostgresOptions(options)
    this.#settings = settings
    this.#metrics = new QueryMetrics(settings.metrics, settings.name, settings.clock)
    this.#sessions = new Sessions(settings)
    this.#runner = new StatementRunner(settings, this.#sessions, this.#metrics)
    this.#listener = new Listener(settings)
  }

  /**
   * Opens the connections of `pool.min` now, so that a wrong address or password is known at start.
   * Operations connect by themselves if this was not called. @throws CreateFailedError
   */
  async connect(): Promise<this> {
    await this.#sessions.connect()
    return this
  }

  /**
   * Runs one statement: text with `$1` … and its values, or a statement made by `sql`. Statements
   * known to be short share connections (see `pipeline`); a statement that only reads is sent again
   * when its connection is lost, any other never.
   * @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError, AcquireTimeoutError
   */
  query<Row = Record<string, unknown>>(
    statement: string | SqlStatement,
    values: readonly unknown[] = NO_VALUES,
    options: QueryOptions = NO_OPTIONS,
  ): Promise<QueryResult<Row>> {
    const result =
      typeof statement === 'string'
        ? this.#runner.run(statement, values, options)
        : this.#runner.run(statement.text, statement.values, options)
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
    return streamRows<Row>(this.#sessions, prepared, { ...options, timeoutMs })
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
    const { maxAttempts = 3, signal } = options
    if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1) {
      throw new RangeError(`maxAttempts must be a whole number of at least 1, got ${maxAttempts}`)
    }
    const { clock, random } = this.#settings
    return this.#metrics.time('transaction', async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#transactOnce(fn, options)
        } catch (error) {
          const isAsked = error instanceof PostgresQueryError && RETRY_STATES.has(error.sqlState)
          if (!isAsked || attempt >= maxAttempts) throw error
        }
        // Full jitter up to 10 ms, 20 ms, … 1 s. Source: Brooker, AWS 2015.
        await clock.sleep(random() * Math.min(1_000, 5 * 2 ** attempt), signal)
      }
    })
  }

  /**
   * Stores rows from a source of any length by COPY, all or none, at constant memory.
   * @param table as SQL writes it: `posts`, `app.posts`, `"Posts"`
   * @throws CopyRowError naming row and column
   */
  async copyInto(
    table: string,
    rows: CopyRows,
    options: CopyIntoOptions = {},
  ): Promise<CopyResult> {
    return this.#metrics.time('copy', () => {
      return this.#sessions.use({ signal: options.signal }, (session) => {
        return session.copyInto(table, rows, options)
      })
    })
  }

  /** Reads once from the server. @throws PostgresConnectionError, PostgresTimeoutError */
  async ping(options: QueryOptions = {}): Promise<void> {
    await this.query('select 1', [], options)
  }

  stats(): PostgresStats {
    return { ...this.#sessions.stats(), pipeline: this.#runner.laneStats() }
  }

  /** Lets running operations end within `deadlineMs`, then closes all connections. */
  async close({ deadlineMs = 5_000 }: { readonly deadlineMs?: number } = {}): Promise<void> {
    const { clock } = this.#settings
    const endMs = clock.monotonicMs() + deadlineMs
    await Promise.all([this.#runner.close(deadlineMs), this.#listener.close()])
    await this.#sessions.close(Math.max(1, endMs - clock.monotonicMs()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #transactOnce<R>(
    fn: (transaction: Transaction) => Promise<R>,
    options: TransactionOptions,
  ): Promise<R> {
    const timeoutMs = options.timeoutMs ?? this.#settings.queryTimeoutMs
    return this.#sessions.use(options, async (session) => {
      const control = (text: string): Promise<unknown> => {
        return session.query({ text, values: [] }, timeoutMs)
      }
      await control(beginStatement(options))
      const transaction = new Transaction(session, timeoutMs, options.signal)
      let result: R
      try {
        result = await fn(transaction)
        options.signal?.throwIfAborted()
      } catch (error) {
        transaction.end()
        await session.settling
        // A session that cannot roll back is destroyed by its owner, which rolls back too.
        if (!session.isBroken) await control('rollback').catch(() => session.giveUp())
        throw error
      }
      transaction.end()
      await control('commit')
      return result
    })
  }
}
