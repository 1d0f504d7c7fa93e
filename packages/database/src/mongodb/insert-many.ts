import { setTimeout as sleep } from 'node:timers/promises'
import {
  MongoBulkWriteError,
  MongoServerError,
  type ClientSession,
  type Collection,
  type Document,
  type WriteError,
} from 'mongodb'
import { wrapMongoError } from './errors.ts'
import { insertBatches, sizeOf, type IndexedDocument } from './insert-batches.ts'
import { backoffMs, checkRange, DUPLICATE_KEY, isDuplicateId, isTransient } from './write-retry.ts'

export interface InsertManyOptions {
  /** Whether the first failure ends the call; else all others are still stored. @default false */
  readonly ordered?: boolean
  /** Documents in a batch, 1 to 100,000. @default 5000 */
  readonly batchSize?: number
  /** Encoded bytes in a batch, 1 KiB to 47 MiB, as far as a sample of its documents tells. @default 16 MiB */
  readonly maxBatchBytes?: number
  /** Sendings of a batch at most, the first included, when the connection fails. At least 1. @default 3 */
  readonly maxAttempts?: number
  /**
   * Batches under way at once, 1 to 16: the next is read and encoded while one is stored. Ordered
   * ones go one after the other. Of two documents with one key in different batches either may be
   * the one that is stored. @default 2
   */
  readonly maxInFlight?: number
  /** A transaction's session; a failure then ends the transaction. */
  readonly session?: ClientSession
  /** How long the call may take at most. @default no limit but those of each batch */
  readonly timeoutMs?: number
  /** Called after each batch. */
  readonly onProgress?: (progress: {
    readonly documents: number
    readonly inserted: number
  }) => void
  /** Ends the call between batches; what was stored stays, and the promise rejects with the reason. */
  readonly signal?: AbortSignal | undefined
}

/** What became of the documents: those that are in neither list are stored. */
export interface InsertManyResult {
  readonly inserted: number
  readonly failed: readonly InsertFailure[]
  /** Positions not tried, because `ordered` ended the call at a failure before them. */
  readonly skippedFrom: number | undefined
}

export interface InsertFailure {
  /** Position among the documents given, from 0. */
  readonly index: number
  /** The server's number, 11000 for a duplicate key; `undefined` where the document was never sent. */
  readonly serverCode: number | undefined
  readonly reason: string
}

/**
 * Stores documents in batches from a source of any length at constant memory. A batch whose
 * connection failed is sent again with the same `_id`s, so that nothing is stored twice.
 */
export async function insertManyInto(
  collection: Collection,
  documents: Iterable<Document> | AsyncIterable<Document>,
  options: InsertManyOptions = {},
): Promise<InsertManyResult> {
  const { maxInFlight, ...limits } = checkOptions(options)
  const { ordered = false, onProgress, signal } = options
  const failed: InsertFailure[] = []
  const inFlight = new Set<Promise<void>>()
  let inserted = 0
  let seen = 0
  const onUnfit = (index: number, reason: string): void => {
    failed.push({ index, serverCode: undefined, reason })
  }
  const store = async (batch: readonly IndexedDocument[]): Promise<void> => {
    const stopAt = ordered ? failed[0]?.index : undefined
    const sendable = stopAt === undefined ? batch : batch.filter(({ index }) => index < stopAt)
    const failures = await sendBatch(collection, sendable, limits.maxAttempts, options)
    failed.push(...failures)
    inserted +=
      ordered && failures[0] !== undefined
        ? sendable.findIndex(({ index }) => index === failures[0]?.index)
        : sendable.length - failures.length
    seen += batch.length
    onProgress?.({ documents: seen, inserted })
  }
  try {
    for await (const batch of insertBatches(documents, limits, onUnfit)) {
      signal?.throwIfAborted()
      const storing = store(batch).finally(() => inFlight.delete(storing))
      inFlight.add(storing)
      // A failure is met where the set is waited for.
      storing.catch(() => undefined)
      if (inFlight.size >= maxInFlight) await Promise.race(inFlight)
      if (ordered && failed.length > 0) break
    }
    await Promise.all(inFlight)
  } finally {
    await Promise.allSettled(inFlight)
  }
  failed.sort((a, b) => a.index - b.index)
  const firstFailure = failed[0]
  return ordered && firstFailure !== undefined
    ? { inserted, failed: [firstFailure], skippedFrom: firstFailure.index + 1 }
    : { inserted, failed, skippedFrom: undefined }
}

async function sendBatch(
  collection: Collection,
  batch: readonly IndexedDocument[],
  maxAttempts: number,
  { ordered = false, session, signal }: InsertManyOptions,
): Promise<InsertFailure[]> {
  const settings = session === undefined ? { ordered } : { ordered, session }
  let unsent = batch
  for (let attempt = 1; unsent.length > 0;) {
    try {
      await collection.insertMany(
        unsent.map(({ document }) => document),
        settings,
      )
      return []
    } catch (error) {
      if (error instanceof MongoBulkWriteError && error.result.getWriteErrorCount() > 0) {
        const errors = error.result.getWriteErrors()
        const failures = errors.flatMap((one) => failureOf(one, unsent, attempt > 1) ?? [])
        if (!ordered || failures.length > 0) return failures
        // An ordered batch stops at our own earlier document too: go on behind it.
        unsent = unsent.slice((errors[0]?.index ?? unsent.length) + 1)
        continue
      }
      const { fit, unfit } = measured(unsent, error)
      if (unfit.length > 0) {
        const before = ordered ? fit.filter(({ index }) => index < (unfit[0]?.index ?? 0)) : fit
        const failures = await sendBatch(collection, before, maxAttempts, { ...settings, signal })
        return ordered && failures.length > 0 ? failures : [...failures, ...unfit]
      }
      // A transaction is repeated as a whole, by its owner.
      if (!isTransient(error) || session !== undefined || attempt >= maxAttempts) {
        throw wrapMongoError(collection.namespace, error)
      }
    }
    await sleep(backoffMs(attempt++), undefined, signal === undefined ? {} : { signal })
  }
  return []
}

/** The documents that cannot be sent, where the driver refused the batch before it sent any. */
function measured(
  batch: readonly IndexedDocument[],
  error: unknown,
): { fit: readonly IndexedDocument[]; unfit: readonly InsertFailure[] } {
  if (isTransient(error) || error instanceof MongoServerError) return { fit: batch, unfit: [] }
  const unfit: InsertFailure[] = []
  const fit = batch.filter(({ index, document }) => {
    const size = sizeOf(document)
    if (typeof size === 'string') unfit.push({ index, serverCode: undefined, reason: size })
    return typeof size !== 'string'
  })
  return { fit, unfit }
}

/** `undefined` where a repeated sending met the document that the first one had stored. */
function failureOf(
  refusal: WriteError,
  sent: readonly IndexedDocument[],
  isRepeated: boolean,
): InsertFailure | undefined {
  const { index, code } = refusal
  const document = sent[index]
  const isOfId = isRepeated && isDuplicateId(refusal)
  if (isOfId && document?.hasOwnId === true) return undefined
  const mayBeOurs = isOfId ? ', perhaps this one, sent before the connection broke' : ''
  const reason =
    code === DUPLICATE_KEY ? `a document with this key exists${mayBeOurs}` : `server error ${code}`
  return { index: document?.index ?? index, serverCode: code, reason }
}

function checkOptions({
  batchSize = 5_000,
  maxBatchBytes = 16 * 1024 * 1024,
  maxAttempts = 3,
  maxInFlight = 2,
  ordered = false,
  session,
}: InsertManyOptions): {
  maxDocuments: number
  maxBytes: number
  maxAttempts: number
  maxInFlight: number
} {
  checkRange('batchSize', batchSize, 1, 100_000)
  checkRange('maxBatchBytes', maxBatchBytes, 1024, 47 * 1024 * 1024)
  checkRange('maxAttempts', maxAttempts, 1, 100)
  checkRange('maxInFlight', maxInFlight, 1, 16)
  const isSerial = ordered || session !== undefined
  return {
    maxDocuments: batchSize,
    maxBytes: maxBatchBytes,
    maxAttempts,
    maxInFlight: isSerial ? 1 : maxInFlight,
  }
}
