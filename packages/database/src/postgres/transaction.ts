import type { CopyIntoOptions, CopyResult, CopyRows } from './copy/copy-into.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { QueryOptions, QueryResult, Session } from './session.ts'
import { StaleStatementError } from './session.ts'
import type { SqlStatement } from './sql.ts'

export interface TransactionOptions {
  /** @default the server's default, usually `read committed` */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable'
  /** Lets the server refuse writes. @default false */
  readonly readOnly?: boolean
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
export class Transaction {
  readonly #session: Session
  readonly #timeoutMs: number
  readonly #signal: AbortSignal | undefined
  #depth = 0
  #isOver = false

  constructor(session: Session, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#session = session
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
    try {
      return await this.#session.query<Row>(prepared, timeoutMs, signal)
    } catch (error) {
      // Inside a transaction the failure has already ended it: there is nothing to run again.
      throw error instanceof StaleStatementError ? error.cause : error
    }
  }

  /** Stores rows by COPY as part of the transaction. */
  async copyInto(
    table: string,
    rows: CopyRows,
    options: CopyIntoOptions = {},
  ): Promise<CopyResult> {
    this.#checkOpen()
    return this.#session.copyInto(table, rows, { signal: this.#signal, ...options })
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
