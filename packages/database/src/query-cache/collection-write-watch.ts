import type { ClientSession } from 'mongodb'
import type { MongoObserver, MongoTransactionOutcome, ObservedOperation } from '../mongodb/index.ts'
import { targetsOfPipeline } from './collection-reads.ts'

/** Sees what a manager of MongoDB writes, and tells of it when it is there for all to see. */
export class CollectionWriteWatch implements MongoObserver {
  readonly #onWritten: (collections: Iterable<string>) => Promise<void>
  readonly #transactions = new WeakMap<ClientSession, Set<string>>()

  /** @param onWritten invalidates; never rejects */
  constructor(onWritten: (collections: Iterable<string>) => Promise<void>) {
    this.#onWritten = onWritten
  }

  /** One that failed may have been carried out in part, or still be. */
  onOperation({
    operation,
    collection,
    query,
    isWrite,
    session,
  }: ObservedOperation): Promise<void> | undefined {
    if (!isWrite) return undefined
    const written = operation === 'aggregate' ? targetsOfPipeline(query) : [collection]
    if (session?.inTransaction() !== true) return this.#onWritten(written)
    const all = this.#transactions.get(session) ?? new Set()
    this.#transactions.set(session, all)
    for (const name of written) all.add(name)
    return undefined
  }

  async onTransactionEnd(session: ClientSession, outcome: MongoTransactionOutcome): Promise<void> {
    const written = this.#transactions.get(session)
    this.#transactions.delete(session)
    // A commit without an answer may have been carried out.
    if (written !== undefined && outcome !== 'rolled back') await this.#onWritten(written)
  }
}
