import type { Clock } from '@dharma/core'
import type * as pg from 'pg'
import { toError } from '@dharma/core'
import type { CopyLine, LendOptions } from './copy/copy-line.ts'
import { queryFor } from './described-query.ts'
import { isWithin } from './is-within.ts'
import { UNNAMED } from './statement-names.ts'
import type { ConnectionSettings, PostgresConnection } from './connection.ts'
import {
  PostgresConnectionError,
  PostgresQueryError,
  PostgresTimeoutError,
  wrapPostgresError,
} from './errors.ts'
import type { SqlStatement } from './sql.ts'

export interface QueryOptions {
  /** Longest time until the answer, waiting for a connection included. Above 0. @default the manager's `queryTimeoutMs` */
  readonly timeoutMs?: number | undefined
  /** Cancels the statement on the server; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /**
   * Says that the statement only reads and that rows a little old will do, which no text can tell: a
   * replica within `maxReplicaLagMs` may answer it, and it is sent again when its connection is lost.
   * A write sent so by mistake runs on the primary. @default false
   */
  readonly replica?: boolean | undefined
}

export interface QueryResult<Row> {
  readonly rows: Row[]
  /** Rows returned or changed; `undefined` for commands that have none. */
  readonly rowCount: number | undefined
  /** `SELECT`, `INSERT`, … */
  readonly command: string
}

/** How long a cancelled statement may take to end before its session is given up. */
const CANCEL_GRACE_MS = 1_000
/** A cached plan that no longer fits (0A000), a prepared statement that is gone (26000). */
export const STALE_STATEMENT: ReadonlySet<string> = new Set(['0A000', '26000'])

/** Runs statements one after the other on one session, each within its deadline. */
export class Session {
  readonly #connection: PostgresConnection
  readonly #settings: ConnectionSettings
  readonly #clock: Clock
  #isBroken = false
  #isLent = false
  /** The end of a cancelled statement, which the next one has to wait for. */
  #settling: Promise<void> | undefined

  constructor(connection: PostgresConnection, settings: ConnectionSettings, clock: Clock) {
    this.#connection = connection
    this.#settings = settings
    this.#clock = clock
  }

  /** Whether the session must not be used again. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Resolves when a cancelled statement has let go of the session; `undefined` while there is none. */
  get settling(): Promise<void> | undefined {
    return this.#settling
  }

  /** Marks the session as not to be used again. */
  giveUp(): void {
    this.#isBroken = true
  }

  /** @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError, TypeError during a COPY */
  async query<Row>(
    statement: SqlStatement,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<QueryResult<Row>> {
    this.#checkFree()
    await this.#settling
    return this.#query(statement, timeoutMs, signal)
  }

  async #query<Row>(
    { text, values }: SqlStatement,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<QueryResult<Row>> {
    return this.#bounded('query', timeoutMs, signal, async () => {
      const { name, evicted } = isOneStatement(text)
        ? this.#connection.statements.use(text)
        : UNNAMED
      if (evicted !== undefined) {
        await this.#connection.client.query(`deallocate ${evicted}`)
        this.#connection.forget(evicted)
      }
      try {
        return await this.#send<Row>(text, values, name)
      } catch (error) {
        throw this.#forgetIfStale(text, name, error)
      }
    })
  }

  /**
   * Lends the client to COPY, which keeps deadlines of its own. @throws what `work` throws, and TypeError
   * while another COPY has it
   */
  async lend<R>(options: LendOptions, work: (line: CopyLine) => Promise<R>): Promise<R> {
    this.#checkFree()
    this.#isLent = true
    try {
      await this.#settling
      return await work(this.#copyLine(options))
    } catch (error) {
      if (error instanceof PostgresConnectionError) this.#isBroken = true
      throw error
    } finally {
      this.#isLent = false
    }
  }

  #copyLine({ timeoutMs, signal, isInTransaction = false }: LendOptions): CopyLine {
    const { client } = this.#connection
    return {
      client,
      clock: this.#clock,
      timeoutMs,
      signal,
      isInTransaction,
      query: async <Row>(text: string, values: readonly unknown[] = []) => {
        const run = async (): Promise<Row[]> => {
          const { rows } = await this.#query<Row>({ text, values }, timeoutMs, signal)
          return rows
        }
        return run().catch((error: unknown) => {
          if (!(error instanceof StaleStatementError)) throw error
          if (isInTransaction) throw error.cause
          return run()
        })
      },
      control: async (text) => {
        await this.#query({ text, values: [] }, timeoutMs, undefined)
      },
      describe: (text) => {
        return this.#bounded('copy', timeoutMs, signal, async () => {
          const none = `select * from (${text}\n) as described limit 0`
          const { fields } = await client.query({ text: none }).catch((error: unknown) => {
            throw wrapPostgresError(error)
          })
          return fields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID }))
        })
      },
      cancel: () => this.#connection.cancel(this.#settings),
      giveUp: () => {
        this.#isBroken = true
        this.#connection.destroy()
      },
      settleAfter: (end) => {
        const before = this.#settling
        this.#settleWith(before === undefined ? end() : before.then(end))
      },
    }
  }

  #checkFree(): void {
    if (this.#isLent) throw new TypeError('a COPY is under way in this session; let it end first')
  }

  /** Runs `work` on the session's client within a deadline of its own, as {@link query} does. */
  async run<R>(
    operation: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    work: (client: pg.Client) => Promise<R>,
  ): Promise<R> {
    await this.#settling
    return this.#bounded(operation, timeoutMs, signal, () => work(this.#connection.client))
  }

  async #send<Row>(
    text: string,
    values: readonly unknown[],
    name: string | undefined,
  ): Promise<QueryResult<Row>> {
    const { client, columns } = this.#connection
    const config = { text, values: [...values] }
    if (name === undefined) return toQueryResult<Row>(await client.query(config))
    const known = columns.get(name)
    const result = await answerTo(client, queryFor({ ...config, name }, known))
    if (known === undefined) columns.set(name, result.fields)
    return toQueryResult<Row>(result)
  }

  /**
   * What the caller gets: a value of his that cannot be sent as it is, any other error wrapped, and
   * marked as worth one more try if only the prepared statement was at fault.
   */
  #forgetIfStale(text: string, name: string | undefined, thrown: unknown): Error {
    const error = thrown instanceof TypeError ? thrown : wrapPostgresError(thrown)
    if (!(error instanceof PostgresQueryError)) {
      this.#isBroken = true
      return error
    }
    if (name === undefined || !STALE_STATEMENT.has(error.sqlState)) return error
    this.#connection.forgetStatement(text)
    return new StaleStatementError(error)
  }

  /** Settles the caller at the deadline; the session follows when the server has let go of the statement. */
  async #bounded<R>(
    operation: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    work: () => Promise<R>,
  ): Promise<R> {
    signal?.throwIfAborted()
    const working = work()
    const underWay = { sinceMs: this.#clock.monotonicMs() }
    this.#connection.underWay = underWay
    return new Promise((resolve, reject) => {
      const stop = (reason: Error): void => {
        end()
        this.#settleWith(this.#abandon(working))
        reject(reason)
      }
      const timer = this.#clock.setTimeout(
        () => stop(new PostgresTimeoutError(operation, timeoutMs)),
        timeoutMs,
      )
      const onAbort = (): void => stop(toError(signal?.reason))
      const end = (): void => {
        if (this.#connection.underWay === underWay) this.#connection.underWay = undefined
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      working.then(resolve, reject).finally(end)
    })
  }

  /** Makes the next statement wait for `ending`. */
  #settleWith(ending: Promise<void>): void {
    const settled = ending.finally(() => {
      if (this.#settling === settled) this.#settling = undefined
    })
    this.#settling = settled
  }

  /** Cancels what the session is doing; a session that then does not come back is destroyed. */
  async #abandon(working: Promise<unknown>): Promise<void> {
    // A server that cannot be asked does not end the statement, which the grace then does.
    const asked = this.#connection.cancel(this.#settings).catch(() => undefined)
    if (await isWithin(this.#clock, CANCEL_GRACE_MS, working)) {
      // A request to cancel that is still on its way could hit the next statement.
      await asked
      return
    }
    this.#isBroken = true
    this.#connection.destroy()
  }
}

/** The driver answers by promise only where it makes the query itself. */
function answerTo(client: pg.Client, query: object): Promise<pg.QueryResult> {
  return new Promise((resolve, reject) => {
    const send = client.query.bind(client) as unknown as (
      query: object,
      callback: (error: Error | null | undefined, result: pg.QueryResult) => void,
    ) => void
    send(query, (error, result) => {
      if (error) reject(error)
      else resolve(result)
    })
  })
}

/** The driver's result in our form. */
export function toQueryResult<Row>(result: unknown): QueryResult<Row> {
  // Of several statements in one text, the last one's result is the outcome.
  const last: unknown = Array.isArray(result) ? result.at(-1) : result
  const { rows, rowCount, command } = last as pg.QueryResult
  return { rows, rowCount: rowCount ?? undefined, command }
}

/** Several statements in one text can be run, but not prepared; a `;` in a string only costs the name. */
function isOneStatement(text: string): boolean {
  return !text.includes(';') || !/;\s*\S/.test(text)
}

/** The statement had no effect, and prepared anew it would run. */
export class StaleStatementError extends Error {
  override readonly name = 'StaleStatementError'
  override readonly cause: PostgresQueryError

  constructor(cause: PostgresQueryError) {
    super(cause.message, { cause })
    this.cause = cause
  }
}
