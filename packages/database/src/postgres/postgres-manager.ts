import { ConnectionPool, type PoolStats } from '@dharma/async/connection-pool'
import type { CopyIntoOptions, CopyResult, CopyRows } from './copy/copy-into.ts'
import { PostgresConnection } from './connection.ts'
import { PostgresQueryError, PostgresTimeoutError, wrapPostgresError } from './errors.ts'
import {
  resolvePostgresOptions,
  type PostgresManagerOptions,
  type PostgresSettings,
} from './postgres-options.ts'
import { QueryMetrics } from './query-metrics.ts'
import { Session, StaleStatementError, type QueryOptions, type QueryResult } from './session.ts'
import type { SqlStatement } from './sql.ts'
import { beginStatement, Transaction, type TransactionOptions } from './transaction.ts'

/** The server asks for the transaction to be run again: serialization failure, deadlock. */
const RETRY_STATES: ReadonlySet<string> = new Set(['40001', '40P01'])

/**
 * PostgreSQL with a deadline on every operation: a caller is always answered in time, a statement
 * that overstays is cancelled on the server, and a session that no longer answers is replaced.
 */
export class PostgresManager implements AsyncDisposable {
  readonly #settings: PostgresSettings
  readonly #pool: ConnectionPool<PostgresConnection>
  readonly #metrics: QueryMetrics

  /** @throws TypeError for a wrong URL, RangeError naming option, limit and value */
  constructor(options: PostgresManagerOptions) {
    const settings = resolvePostgresOptions(options)
    const { pool, name, connectTimeoutMs, clock, random, metrics } = settings
    this.#settings = settings
    this.#metrics = new QueryMetrics(metrics, name, clock)
    this.#pool = new ConnectionPool<PostgresConnection>(
      {
        create: (context) => PostgresConnection.open(settings, context),
        destroy: async (connection, reason) => {
          if (reason === 'idle' || reason === 'lifetime' || reason === 'surplus')
            await connection.end()
          connection.destroy()
        },
        validate: async ({ client }) => {
          await client.query('select 1')
          return true
        },
      },
      { ...pool, name, clock, random, metrics, createTimeoutMs: connectTimeoutMs },
    )
  }

  /**
   * Opens the connections of `pool.min` now, so that a wrong address or password is known at start.
   * Operations connect by themselves if this was not called. @throws CreateFailedError
   */
  async connect(): Promise<this> {
    await this.#pool.connect()
    return this
  }

  /**
   * Runs one statement: text with `$1` … and its values, or a statement made by `sql`.
   * @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError, AcquireTimeoutError
   */
  async query<Row = Record<string, unknown>>(
    statement: string | SqlStatement,
    values: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult<Row>> {
    const prepared = typeof statement === 'string' ? { text: statement, values } : statement
    return this.#metrics.time('query', () => {
      return this.#withSession(options, async (session, remainingMs) => {
        try {
          return await session.query<Row>(prepared, remainingMs(), options.signal)
        } catch (error) {
          if (!(error instanceof StaleStatementError)) throw error
          return session.query<Row>(prepared, remainingMs(), options.signal)
        }
      })
    })
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
      return this.#withSession({ signal: options.signal }, (session) => {
        return session.copyInto(table, rows, options)
      })
    })
  }

  /** Reads once from the server. @throws PostgresConnectionError, PostgresTimeoutError */
  async ping(options: QueryOptions = {}): Promise<void> {
    await this.query('select 1', [], options)
  }

  stats(): PoolStats {
    return this.#pool.stats()
  }

  /** Lets running operations end within `deadlineMs`, then closes all connections. */
  async close({ deadlineMs = 5_000 }: { readonly deadlineMs?: number } = {}): Promise<void> {
    await this.#pool.drain({ deadlineMs })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #transactOnce<R>(
    fn: (transaction: Transaction) => Promise<R>,
    options: TransactionOptions,
  ): Promise<R> {
    const timeoutMs = options.timeoutMs ?? this.#settings.queryTimeoutMs
    return this.#withSession(options, async (session) => {
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

  /** Lends a session for `work`; the time spent waiting for it counts. */
  async #withSession<R>(
    { timeoutMs = this.#settings.queryTimeoutMs, signal }: QueryOptions,
    work: (session: Session, remainingMs: () => number) => Promise<R>,
  ): Promise<R> {
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    const { clock } = this.#settings
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const lease = await this.#pool.acquire({ timeoutMs, signal })
    const session = new Session(lease.resource, this.#settings, clock)
    try {
      return await work(session, () => Math.max(1, deadlineMs - clock.monotonicMs()))
    } catch (error) {
      // What was left of the time when the statement was sent is of no interest to the caller.
      if (error instanceof PostgresTimeoutError) throw new PostgresTimeoutError('query', timeoutMs)
      throw asOwn(error)
    } finally {
      const giveBack = (): void => {
        if (session.isBroken) lease.destroy()
        else lease.release()
      }
      // The caller has his answer; the session comes back when the server has let go of it.
      if (session.settling === undefined) giveBack()
      else void session.settling.finally(giveBack)
    }
  }
}

/** Errors of the driver wrapped; the caller's own, and ours, as they are. */
function asOwn(error: unknown): unknown {
  const isDriverError = error instanceof Error && 'severity' in error && 'routine' in error
  return isDriverError ? wrapPostgresError(error) : error
}
