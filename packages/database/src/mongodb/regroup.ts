import type { ClientSession, Collection, Db, MongoClient } from 'mongodb'
import type { BulkWriteTally, IndexedOperation, SendRegrouped } from './bulk-write.ts'
import { hasLabel } from './errors.ts'
import { documentKeyOf, type WriteKind } from './write-operation.ts'

/** Above this a transaction strains the server's cache; larger batches keep their order. */
const MAX_OPERATIONS = 10_000

/**
 * A batch by kind, where operations on the same document keep their order: each operation joins
 * the first group of its kind that is not before its document's last one. `undefined` where an
 * operation does not name its one document by `_id`.
 */
export function regrouped(batch: readonly IndexedOperation[]): IndexedOperation[][] | undefined {
  const groups: { kind: WriteKind; operations: IndexedOperation[] }[] = []
  const lastGroupOf = new Map<string, number>()
  for (const one of batch) {
    const key = documentKeyOf(one.operation)
    if (key === undefined) return undefined
    let at = lastGroupOf.get(key) ?? 0
    while (at < groups.length && groups[at]?.kind !== one.kind) at++
    if (at === groups.length) groups.push({ kind: one.kind, operations: [] })
    groups[at]?.operations.push(one)
    lastGroupOf.set(key, at)
  }
  return groups.map(({ operations }) => operations)
}

/**
 * How batches of this collection are sent by kind, or `undefined` where its documents depend on one
 * another: a unique index makes an insert wait for a delete, a collation makes different ids equal,
 * a capped collection keeps the order of inserts.
 */
export async function regroupingFor(
  client: MongoClient,
  database: Db,
  collection: Collection,
): Promise<SendRegrouped | undefined> {
  const [description] = await database
    .listCollections({ name: collection.collectionName }, { nameOnly: false })
    .toArray()
  // A collection that is not there cannot be looked at, and the first write makes it.
  if (description?.type !== 'collection') return undefined
  const { capped, collation } = description.options ?? {}
  if (capped === true || collation !== undefined) return undefined
  const indexes = await collection.listIndexes().toArray()
  if (indexes.some((index) => index['unique'] === true)) return undefined
  return (batch, tally) => sendInTransaction(client, collection, batch, tally)
}

async function sendInTransaction(
  client: MongoClient,
  collection: Collection,
  batch: readonly IndexedOperation[],
  tally: BulkWriteTally,
): Promise<boolean> {
  const groups = batch.length > MAX_OPERATIONS ? undefined : regrouped(batch)
  // Two kinds in two groups are sent as they are, at the same cost.
  if (groups === undefined || groups.length >= runsOf(batch)) return false
  const session = client.startSession()
  try {
    return await attempt(session, collection, groups.flat(), tally)
  } finally {
    await session.endSession()
  }
}

/** `false` where anything failed, and nothing was done: the given order decides what happens then. */
async function attempt(
  session: ClientSession,
  collection: Collection,
  operations: readonly IndexedOperation[],
  tally: BulkWriteTally,
): Promise<boolean> {
  session.startTransaction({ writeConcern: { w: 'majority' } })
  const result = await collection
    .bulkWrite(
      operations.map(({ operation }) => operation),
      { ordered: true, session },
    )
    .catch(() => undefined)
  if (result === undefined) {
    await session.abortTransaction()
    return false
  }
  // Sent again by the driver if it is not answered; then its outcome is not known, and told as such.
  try {
    await session.commitTransaction()
  } catch (error) {
    if (hasLabel(error, 'TransientTransactionError')) return false
    throw error
  }
  tally.add(result, operations)
  return true
}

/** How many commands the order as given takes. */
function runsOf(batch: readonly IndexedOperation[]): number {
  return batch.filter(({ kind }, index) => kind !== batch[index - 1]?.kind).length
}
