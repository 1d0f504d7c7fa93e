import type { Clock } from '@dharma/core'
import type { Transaction } from './transaction.ts'

/** How a transaction ended; `unclear` where its COMMIT was not answered. */
export type TransactionOutcome = 'committed' | 'rolled back' | 'unclear'

/** One statement that was answered or has failed. A COPY into a table is told as `copy t from stdin`. */
export interface ObservedStatement {
  readonly text: string
  readonly values: readonly unknown[]
  /** From the call to the answer, waiting for a connection included. */
  readonly elapsedMs: number
  /** `undefined` where it failed. */
  readonly rowCount: number | undefined
  readonly error: unknown
  /** The transaction it was part of. */
  readonly transaction: Transaction | undefined
}

/**
 * Hears of each statement and transaction of a manager before its caller does. Where it returns a
 * promise, the caller waits for it; it must neither throw nor reject.
 */
export interface QueryObserver {
  onStatement?(statement: ObservedStatement): Promise<void> | undefined
  onTransactionEnd?(
    transaction: Transaction,
    outcome: TransactionOutcome,
  ): Promise<void> | undefined
}

/** The observers of one manager. */
export class QueryObservers {
  readonly #clock: Clock
  #observers: readonly QueryObserver[] = []
  #answeredMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isEmpty(): boolean {
    return this.#observers.length === 0
  }

  add(observer: QueryObserver): Disposable {
    this.#observers = [...this.#observers, observer]
    return {
      [Symbol.dispose]: () => {
        this.#observers = this.#observers.filter((one) => one !== observer)
      },
    }
  }

  /** Starts a statement and tells of its end. */
  watch<Result extends object>(
    text: string,
    values: readonly unknown[],
    run: () => Promise<Result>,
    transaction?: Transaction,
  ): Promise<Result> {
    const startedMs = this.#clock.monotonicMs()
    return run().then(
      (result) => {
        const elapsedMs = this.#answerMs() - startedMs
        const rowCount = rowCountOf(result)
        const error = undefined
        const wait = this.#tell({ text, values, elapsedMs, rowCount, error, transaction })
        return wait === undefined ? result : wait.then(() => result)
      },
      async (error: unknown) => {
        const elapsedMs = this.#clock.monotonicMs() - startedMs
        await this.#tell({ text, values, elapsedMs, rowCount: undefined, error, transaction })
        throw error
      },
    )
  }

  /** As {@link watch}, for rows that come one after the other. */
  async *watchRows<Row>(
    text: string,
    values: readonly unknown[],
    rows: AsyncGenerator<Row, void, undefined>,
  ): AsyncGenerator<Row, void, undefined> {
    const startedMs = this.#clock.monotonicMs()
    let rowCount = 0
    let error: unknown
    try {
      for await (const row of rows) {
        rowCount += 1
        yield row
      }
    } catch (thrown) {
      error = thrown
      throw thrown
    } finally {
      const elapsedMs = this.#clock.monotonicMs() - startedMs
      await this.#tell({ text, values, elapsedMs, rowCount, error, transaction: undefined })
    }
  }

  async transactionEnded(transaction: Transaction, outcome: TransactionOutcome): Promise<void> {
    for (const observer of this.#observers) await observer.onTransactionEnd?.(transaction, outcome)
  }

  /** The clock is read once for all answers that came by one packet, which are told of together. */
  #answerMs(): number {
    if (this.#answeredMs !== undefined) return this.#answeredMs
    this.#answeredMs = this.#clock.monotonicMs()
    queueMicrotask(() => {
      this.#answeredMs = undefined
    })
    return this.#answeredMs
  }

  #tell(statement: ObservedStatement): Promise<unknown> | undefined {
    const observers = this.#observers
    if (observers.length === 1) return observers[0]?.onStatement?.(statement)
    const waits = observers.flatMap((observer) => observer.onStatement?.(statement) ?? [])
    return waits.length === 0 ? undefined : Promise.all(waits)
  }
}

/** The text that stands for a COPY. */
export function copyText(table: string): string {
  return `copy ${table} from stdin`
}

/** Rows read or changed by a statement, or stored by a COPY. */
function rowCountOf(result: object): number | undefined {
  const count: unknown = 'rowCount' in result ? result.rowCount : 'rows' in result && result.rows
  return typeof count === 'number' ? count : undefined
}
