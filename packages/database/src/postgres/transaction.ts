import { BulkOperations, type LineOptions } from './copy/bulk-operations.ts'
import type { CopyLine } from './copy/copy-line.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { QueryObservers } from './query-observer.ts'
import type { QueryOptions, QueryResult, Session } from './session.ts'
import { StaleStatementError } from './session.ts'
import type { SqlStatement } from './sql.ts'

export interface TransactionOptions {
  /** @default the server's default, usually `read committed` */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable'
  /** Lets the server refuse writes. @default false */
  readonly readOnly?: boolean
  /** Whether a replica within `maxReplicaLagMs` may serve it; only with `readOnly`. @default false */
  readonly replica?: boolean
  /**
   * Runs of the function at most, the first included, when the server asks for another (40001
   * serialization failure, 40P01 deadlock). The function must then bear being run again. At least 1. @default 3
   */
  readonly maxAttempts?: number
  /** Longest time of each statement. Above 0. @default the manager's `queryTimeoutMs` */
  readonly timeoutMs?: number | undefined
  /** Rolls back; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** The statements of one transaction. It is of no use after the function that got it has ended. */
export class Transaction extends BulkOperations {
  readonly #session: Session
  readonly #timeoutMs: number
  readonly #signal: AbortSignal | undefined
  readonly #observers: QueryObservers
  #depth = 0
  #isOver = false

  constructor(
    session: Session,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    observers: QueryObservers,
  ) {
    super()
    this.#session = session
    this.#observers = observers
    this.#timeoutMs = timeoutMs
    this.#signal = signal
  }

  async query<Row = Record<string, unknown>>(
    statement: string | SqlStatement,
    values: readonly unknown[] = [],
    { timeoutMs = this.#timeoutMs, signal = this.#signal }: QueryOptions = {},
  ): Promise<QueryResult<Row>> {
    this.#checkOpen()
    const prepared = typeof statement === 'string' ? { text: statement, values } : statement
    const run = (): Promise<QueryResult<Row>> => this.#send<Row>(prepared, timeoutMs, signal)
    if (this.#observers.isEmpty) return run()
    return this.#observers.watch(prepared.text, prepared.values, run, this)
  }

  protected async lend<R extends object>(
    { timeoutMs = this.#timeoutMs, signal = this.#signal, statement }: LineOptions,
    work: (line: CopyLine) => Promise<R>,
  ): Promise<R> {
    this.#checkOpen()
    const run = (): Promise<R> => {
      return this.#session.lend({ timeoutMs, signal, isInTransaction: true }, work)
    }
    if (statement === undefined || this.#observers.isEmpty) return run()
    return this.#observers.watch(statement, [], run, this)
  }

  /** Runs `fn` behind a savepoint: if it throws, what it did is undone and the transaction lives on. */
  async savepoint<R>(fn: () => Promise<R>): Promise<R> {
    const name = quoteIdentifier(`dharma_${++this.#depth}`)
    await this.query(`savepoint ${name}`)
    try {
      const result = await fn()
      await this.query(`release savepoint ${name}`)
      return result
    } catch (error) {
      await this.query(`rollback to savepoint ${name}`)
      throw error
    } finally {
      this.#depth--
    }
  }

  /** Called by the manager when the function is done: a statement sent later would run outside. */
  end(): void {
    this.#isOver = true
  }

  async #send<Row>(
    statement: SqlStatement,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<QueryResult<Row>> {
    try {
      return await this.#session.query<Row>(statement, timeoutMs, signal)
    } catch (error) {
      // Inside a transaction the failure has already ended it: there is nothing to run again.
      throw error instanceof StaleStatementError ? error.cause : error
    }
  }

  #checkOpen(): void {
    if (this.#isOver)
      throw new TypeError('the transaction is over; use it only inside its function')
  }
}

/** The statement that opens a transaction. */
export function beginStatement({ isolation, readOnly = false }: TransactionOptions): string {
  const level = isolation === undefined ? '' : ` isolation level ${isolation}`
  return `begin${level}${readOnly ? ' read only' : ''}`
}
