import type { AnyBulkWriteOperation, Collection, Document } from 'mongodb'
import { keyOf } from './aggregation/stage.ts'
import { bulkWriteInto, type WriteFailure } from './bulk-write.ts'
import { checkRange, DUPLICATE_KEY } from './write-retry.ts'

export interface BulkUpsertOptions {
  /** The field or fields that tell documents apart; a unique index on them keeps writers from racing. */
  readonly key: string | readonly string[]
  /** Whether fields that a document does not have stay as they are, or go. @default 'merge' */
  readonly mode?: 'merge' | 'replace'
  /** Documents in a batch, 1 to 100,000. @default 1000 */
  readonly batchSize?: number
  /** Sendings of a batch at most, the first included, when the connection fails. @default 3 */
  readonly maxAttempts?: number
  /** How long the call may take at most. @default no limit but those of each batch */
  readonly timeoutMs?: number
  /** Ends the call between batches; what was stored stays, and the promise rejects with the reason. */
  readonly signal?: AbortSignal | undefined
}

/** What became of the documents: those that are not in `failed` are stored. */
export interface BulkUpsertResult {
  readonly inserted: number
  readonly updated: number
  /** Found just as they were given. */
  readonly unchanged: number
  readonly failed: readonly WriteFailure[]
}

interface Upsert {
  readonly index: number
  readonly key: string
  readonly operation: AnyBulkWriteOperation
}

/** Inserts each document, or changes the one with the same key. Of two with one key the later wins. */
export async function bulkUpsertInto(
  collection: Collection,
  documents: Iterable<Document> | AsyncIterable<Document>,
  options: BulkUpsertOptions,
): Promise<BulkUpsertResult> {
  const { mode = 'merge', batchSize = 1_000, maxAttempts = 3, signal } = options
  const keys = typeof options.key === 'string' ? [options.key] : options.key
  if (keys.length === 0) throw new RangeError('key must name at least one field')
  checkRange('batchSize', batchSize, 1, 100_000)
  checkRange('maxAttempts', maxAttempts, 1, 100)
  const result = { inserted: 0, updated: 0, unchanged: 0, failed: [] as WriteFailure[] }
  const send = async (batch: readonly Upsert[]): Promise<void> => {
    if (batch.length === 0) return
    signal?.throwIfAborted()
    // Two writers may find the same key missing, and one of them is refused: it updates instead.
    const raced = await sendBatch(collection, batch, maxAttempts, signal, result)
    if (raced.length === 0) return
    const again = await sendBatch(collection, raced, maxAttempts, signal, result)
    const reason = 'another key of it exists'
    result.failed.push(...again.map(({ index }) => ({ index, serverCode: DUPLICATE_KEY, reason })))
  }
  let batch = new Map<string, Upsert>()
  let index = -1
  for await (const document of documents) {
    index++
    const upsert = upsertOf(document, keys, mode)
    if (typeof upsert === 'string') {
      result.failed.push({ index, serverCode: undefined, reason: upsert })
      continue
    }
    if (batch.size >= batchSize || batch.has(upsert.key)) {
      await send([...batch.values()])
      batch = new Map()
    }
    batch.set(upsert.key, { index, ...upsert })
  }
  await send([...batch.values()])
  result.failed.sort((a, b) => a.index - b.index)
  return result
}

/** Sends one batch and returns what was refused for a duplicate key. */
async function sendBatch(
  collection: Collection,
  batch: readonly Upsert[],
  maxAttempts: number,
  signal: AbortSignal | undefined,
  result: { inserted: number; updated: number; unchanged: number; failed: WriteFailure[] },
): Promise<Upsert[]> {
  const operations = batch.map(({ operation }) => operation)
  const batchSize = operations.length
  const options = { ordered: false, batchSize, maxAttempts, signal }
  // Setting values by key twice is the same as once.
  const report = await bulkWriteInto(collection, operations, options, { mayRepeat: () => true })
  result.inserted += report.upserted.length
  result.updated += report.modified
  result.unchanged += report.matched - report.modified
  const raced: Upsert[] = []
  for (const failure of report.failed) {
    const upsert = batch[failure.index]
    if (upsert === undefined) continue
    if (failure.serverCode === DUPLICATE_KEY) raced.push(upsert)
    else result.failed.push({ ...failure, index: upsert.index })
  }
  return raced
}

/** The operation for a document, or why there is none. */
function upsertOf(
  document: Document,
  keys: readonly string[],
  mode: 'merge' | 'replace',
): Omit<Upsert, 'index'> | string {
  const missing = keys.filter((key) => document[key] === undefined || document[key] === null)
  if (missing.length > 0) return `has no ${missing.join(', ')}`
  const values = keys.map((name): unknown => document[name])
  const filter = Object.fromEntries(keys.map((name, at) => [name, { $eq: values[at] }]))
  const key = keyOf(values)
  if (mode === 'replace') {
    return { key, operation: { replaceOne: { filter, replacement: document, upsert: true } } }
  }
  const unfit = Object.keys(document).find((name) => name.includes('.') || name.startsWith('$'))
  if (unfit !== undefined) return `cannot merge a field named ${unfit}`
  const { _id: id, ...fields } = document
  const update = {
    $set: fields,
    ...(id === undefined || keys.includes('_id') ? {} : { $setOnInsert: { _id: id } }),
  }
  return { key, operation: { updateOne: { filter, update, upsert: true } } }
}
