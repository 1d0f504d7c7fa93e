import type { ClientSession } from 'mongodb'

/** How a transaction ended; `unclear` where its commit was not answered. */
export type MongoTransactionOutcome = 'committed' | 'rolled back' | 'unclear'

/** One operation of a manager that was answered or has failed. */
export interface ObservedOperation {
  /** The method's name: `find`, `aggregate`, `updateMany` and so on. */
  readonly operation: string
  readonly collection: string
  /** What was asked: the filter, or the pipeline as it was sent; nothing for what has neither. */
  readonly query: unknown
  /** Whether it may have changed documents, of this or, by `$out` and `$merge`, of other collections. */
  readonly isWrite: boolean
  /** From the call to the answer, waiting for a connection included. */
  readonly elapsedMs: number
  /** Documents read or changed; `undefined` where it failed. */
  readonly documentCount: number | undefined
  readonly error: unknown
  /** The session it was given, which may be that of a transaction. */
  readonly session: ClientSession | undefined
}

/**
 * Hears of each operation and transaction of a manager before its caller does. Where it returns a
 * promise, the caller waits for it; it must neither throw nor reject.
 */
export interface MongoObserver {
  onOperation?(operation: ObservedOperation): Promise<void> | undefined
  onTransactionEnd?(
    session: ClientSession,
    outcome: MongoTransactionOutcome,
  ): Promise<void> | undefined
}

/** The observers of one manager. */
export class MongoObservers {
  #observers: readonly MongoObserver[] = []

  get isEmpty(): boolean {
    return this.#observers.length === 0
  }

  add(observer: MongoObserver): Disposable {
    this.#observers = [...this.#observers, observer]
    return {
      [Symbol.dispose]: () => {
        this.#observers = this.#observers.filter((one) => one !== observer)
      },
    }
  }

  /** Tells all; the promise, if there is one, resolves when the last of them is done. */
  tell(operation: ObservedOperation): Promise<unknown> | undefined {
    const waits = this.#observers.flatMap((observer) => observer.onOperation?.(operation) ?? [])
    return waits.length === 0 ? undefined : Promise.all(waits)
  }

  async transactionEnded(session: ClientSession, outcome: MongoTransactionOutcome): Promise<void> {
    for (const observer of this.#observers) await observer.onTransactionEnd?.(session, outcome)
  }
}
