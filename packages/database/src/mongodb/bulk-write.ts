import { setTimeout as sleep } from 'node:timers/promises'
import {
  BSON,
  MongoBulkWriteError,
  ObjectId,
  type AnyBulkWriteOperation,
  type BulkWriteResult,
  type ClientSession,
  type Collection,
  type Document,
} from 'mongodb'
import { MongoConnectionError, wrapMongoError } from './errors.ts'
import { isRepeatable, kindOf, type WriteKind } from './write-operation.ts'
import {
  backoffMs,
  checkRange,
  DUPLICATE_KEY,
  isDuplicateId,
  isNothingDone,
  isTransient,
} from './write-retry.ts'

export interface BulkWriteOptions {
  /** Whether the first failure ends the call; else all others are still carried out. @default true */
  readonly ordered?: boolean
  /**
   * Whether ordered operations on different documents may be sent by kind and not in their order:
   * many times faster where kinds alternate. Each batch then is a transaction, so that the result is
   * that of the given order, also where one fails. Takes effect where every operation names its
   * document by `_id`, and the collection has no unique index, collation, or cap. @default false
   */
  readonly regroup?: boolean
  /** Operations in a batch, 1 to 100,000. @default 1000 */
  readonly batchSize?: number
  /**
   * Sendings at most, the first included, when the connection fails. Only what may be done twice is
   * sent again: inserts, and changes of one document by its `_id` that set values. @default 3
   */
  readonly maxAttempts?: number
  readonly session?: ClientSession
  /** How long the call may take at most. @default no limit but those of each batch */
  readonly timeoutMs?: number
  /** Ends the call between batches; what was done stays, and the promise rejects with the reason. */
  readonly signal?: AbortSignal | undefined
}

/** What became of the operations: those that are in neither list were carried out. */
export interface BulkWriteReport {
  readonly inserted: number
  /** Counts of what was sent twice are those of the second time. */
  readonly matched: number
  readonly modified: number
  readonly deleted: number
  readonly upserted: readonly { readonly index: number; readonly id: unknown }[]
  readonly failed: readonly WriteFailure[]
  /** Positions not tried, because `ordered` ended the call at a failure before them. */
  readonly skippedFrom: number | undefined
}

export interface WriteFailure {
  /** Position among the operations given, from 0. */
  readonly index: number
  /** The server's number, 11000 for a duplicate key; `undefined` where it was never sent. */
  readonly serverCode: number | undefined
  readonly reason: string
}

/** An operation with the position it had among those given. */
export interface IndexedOperation {
  readonly index: number
  readonly kind: WriteKind
  readonly operation: AnyBulkWriteOperation
  /** Whether it inserts under an `_id` that was made here. */
  readonly hasOwnId: boolean
}

/** What has become of a bulk write so far. */
export class BulkWriteTally {
  inserted = 0
  matched = 0
  modified = 0
  deleted = 0
  readonly upserted: { index: number; id: unknown }[] = []
  readonly failed: WriteFailure[] = []

  add(result: BulkWriteResult, sent: readonly IndexedOperation[]): void {
    this.inserted += result.insertedCount
    this.matched += result.matchedCount
    this.modified += result.modifiedCount
    this.deleted += result.deletedCount
    for (const [at, id] of Object.entries(result.upsertedIds) as [string, unknown][]) {
      this.upserted.push({ index: sent[Number(at)]?.index ?? Number(at), id })
    }
  }

  report(ordered: boolean): BulkWriteReport {
    this.failed.sort((a, b) => a.index - b.index)
    this.upserted.sort((a, b) => a.index - b.index)
    const { inserted, matched, modified, deleted, upserted, failed } = this
    const first = failed[0]
    const skippedFrom = ordered && first !== undefined ? first.index + 1 : undefined
    return { inserted, matched, modified, deleted, upserted, failed, skippedFrom }
  }
}

/** Sends a batch that is regrouped; `false` where it was not carried out. */
export type SendRegrouped = (
  batch: readonly IndexedOperation[],
  tally: BulkWriteTally,
) => Promise<boolean>

export interface BulkWriteMeans {
  /** @default batches are sent in their order */
  readonly sendRegrouped?: SendRegrouped | undefined
  /** Whether an operation may be carried out twice. @default what can be told from it */
  readonly mayRepeat?: (operation: IndexedOperation) => boolean
}

/**
 * Carries out operations from a source of any length, in batches, one in flight. Each command that
 * is sent holds one kind of operation, so that it is known of every operation what became of it.
 *
 * @throws MongoConnectionError when it is not known what became of operations that must not be sent
 * again; its `unclear` names them
 */
export async function bulkWriteInto(
  collection: Collection,
  operations: Iterable<AnyBulkWriteOperation> | AsyncIterable<AnyBulkWriteOperation>,
  options: BulkWriteOptions,
  { sendRegrouped, mayRepeat = isRepeatable }: BulkWriteMeans = {},
): Promise<BulkWriteReport> {
  const { ordered = true, batchSize = 1_000, maxAttempts = 3, signal } = options
  checkRange('batchSize', batchSize, 1, 100_000)
  checkRange('maxAttempts', maxAttempts, 1, 100)
  const tally = new BulkWriteTally()
  for await (const batch of batchesOf(operations, Math.min(batchSize, MAX_BATCH_OPERATIONS))) {
    signal?.throwIfAborted()
    if (sendRegrouped !== undefined && (await sendRegrouped(batch, tally))) continue
    for (const group of groupsOf(batch, ordered)) {
      await sendGroup(collection, group, tally, { ...options, ordered, maxAttempts, mayRepeat })
      if (ordered && tally.failed.length > 0) return tally.report(ordered)
    }
  }
  return tally.report(ordered)
}

/** Above these the driver makes two commands of one, and does not say which of them failed. */
const MAX_BATCH_BYTES: number = 16 * 1024 * 1024
const MAX_BATCH_OPERATIONS = 99_999

async function* batchesOf(
  operations: Iterable<AnyBulkWriteOperation> | AsyncIterable<AnyBulkWriteOperation>,
  batchSize: number,
): AsyncGenerator<IndexedOperation[]> {
  let batch: IndexedOperation[] = []
  let bytes = 0
  let index = -1
  for await (const given of operations) {
    index++
    const size = BSON.calculateObjectSize(given)
    if (batch.length >= batchSize || (batch.length > 0 && bytes + size > MAX_BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(indexed(given, index))
    bytes += size
  }
  if (batch.length > 0) yield batch
}

function indexed(given: AnyBulkWriteOperation, index: number): IndexedOperation {
  const kind = kindOf(given)
  if (!('insertOne' in given) || '_id' in given.insertOne.document) {
    return { index, kind, operation: given, hasOwnId: false }
  }
  const document: Document = { _id: new ObjectId(), ...given.insertOne.document }
  return { index, kind, operation: { insertOne: { document } }, hasOwnId: true }
}

/** Operations of one kind each: neighbours where the order counts, else all of the kind. */
function groupsOf(batch: readonly IndexedOperation[], ordered: boolean): IndexedOperation[][] {
  if (!ordered) return [...Map.groupBy(batch, ({ kind }) => kind).values()]
  const groups: IndexedOperation[][] = []
  for (const one of batch) {
    const last = groups.at(-1)
    if (last?.[0]?.kind === one.kind) last.push(one)
    else groups.push([one])
  }
  return groups
}

interface SendOptions {
  readonly ordered: boolean
  readonly maxAttempts: number
  readonly session?: ClientSession
  readonly signal?: AbortSignal | undefined
  readonly mayRepeat: (operation: IndexedOperation) => boolean
}

async function sendGroup(
  collection: Collection,
  group: readonly IndexedOperation[],
  tally: BulkWriteTally,
  { ordered, maxAttempts, session, signal, mayRepeat }: SendOptions,
): Promise<void> {
  let unsent = group
  let attempt = 1
  while (unsent.length > 0) {
    try {
      const settings = session === undefined ? { ordered } : { ordered, session }
      const operations = unsent.map(({ operation }) => operation)
      tally.add(await collection.bulkWrite(operations, settings), unsent)
      return
    } catch (error) {
      if (error instanceof MongoBulkWriteError && error.result.getWriteErrorCount() > 0) {
        tally.add(error.result, unsent)
        const failures = addFailures(error, unsent, attempt > 1, tally)
        if (!ordered || failures > 0) return
        // It stopped at our own earlier document: go on behind it.
        unsent = unsent.slice((error.result.getWriteErrors()[0]?.index ?? unsent.length) + 1)
        continue
      }
      const isSafe = isNothingDone(error) || unsent.every(mayRepeat)
      const wrapped = wrapMongoError(collection.namespace, error)
      // A transaction is repeated as a whole, by its owner.
      if (!isTransient(error) || session !== undefined) throw wrapped
      if (!isSafe || attempt >= maxAttempts) throw unclear(wrapped, unsent)
    }
    await sleep(backoffMs(attempt++), undefined, signal === undefined ? {} : { signal })
  }
}

/** Notes what the server refused; what a first sending had stored counts as inserted. */
function addFailures(
  error: MongoBulkWriteError,
  sent: readonly IndexedOperation[],
  isRepeated: boolean,
  tally: BulkWriteTally,
): number {
  let failures = 0
  for (const refusal of error.result.getWriteErrors()) {
    const { index: at, code } = refusal
    const operation = sent[at]
    const isDuplicate = code === DUPLICATE_KEY
    if (isRepeated && operation?.hasOwnId === true && isDuplicateId(refusal)) {
      tally.inserted += 1
      continue
    }
    failures += 1
    const reason = isDuplicate ? 'a document with this key exists' : `server error ${code}`
    tally.failed.push({ index: operation?.index ?? at, serverCode: code, reason })
  }
  return failures
}

function unclear(wrapped: unknown, sent: readonly IndexedOperation[]): unknown {
  if (!(wrapped instanceof MongoConnectionError)) return wrapped
  const indexes = sent.map(({ index }) => index)
  return new MongoConnectionError(wrapped.message, { cause: wrapped.cause, unclear: indexes })
}
