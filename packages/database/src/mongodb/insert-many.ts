import { setTimeout as sleep } from 'node:timers/promises'
import {
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  type Collection,
  type Document,
  type WriteError,
} from 'mongodb'
import { unwrapBulkError, wrapMongoError } from './errors.ts'
import { insertBatches, type IndexedDocument } from './insert-batches.ts'

export interface InsertManyOptions {
  /** Whether the first failure ends the call; else all others are still stored. @default false */
  readonly ordered?: boolean
  /** Documents in a batch, 1 to 100,000. @default 1000 */
  readonly batchSize?: number
  /** Encoded bytes in a batch, 1 KiB to 47 MiB. @default 16 MiB */
  readonly maxBatchBytes?: number
  /** Sendings of a batch at most, the first included, when the connection fails. At least 1. @default 3 */
  readonly maxAttempts?: number
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

const DUPLICATE_KEY = 11_000

/**
 * Stores documents in batches, one in flight, from a source of any length at constant memory. A
 * batch whose connection failed is sent again with the same `_id`s, so that nothing is stored twice.
 */
export async function insertManyInto(
  collection: Collection,
  documents: Iterable<Document> | AsyncIterable<Document>,
  options: InsertManyOptions = {},
): Promise<InsertManyResult> {
  const limits = checkOptions(options)
  const { ordered = false, onProgress, signal } = options
  const failed: InsertFailure[] = []
  let inserted = 0
  let seen = 0
  const onUnfit = (index: number, reason: string): void => {
    failed.push({ index, serverCode: undefined, reason })
  }
  for await (const batch of insertBatches(documents, limits, onUnfit)) {
    signal?.throwIfAborted()
    const stopAt = ordered ? failed[0]?.index : undefined
    const sendable = stopAt === undefined ? batch : batch.filter(({ index }) => index < stopAt)
    const failures = await sendBatch(collection, sendable, ordered, limits.maxAttempts, signal)
    failed.push(...failures)
    inserted +=
      ordered && failures[0] !== undefined
        ? sendable.findIndex(({ index }) => index === failures[0]?.index)
        : sendable.length - failures.length
    seen += batch.length
    onProgress?.({ documents: seen, inserted })
    if (ordered && failed.length > 0) break
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
  ordered: boolean,
  maxAttempts: number,
  signal: AbortSignal | undefined,
): Promise<InsertFailure[]> {
  let unsent = batch
  for (let attempt = 1; unsent.length > 0;) {
    try {
      await collection.insertMany(
        unsent.map(({ document }) => document),
        { ordered },
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
      if (!isTransient(error) || attempt >= maxAttempts) {
        throw wrapMongoError(collection.namespace, error)
      }
    }
    await sleep(backoffMs(attempt++), undefined, signal === undefined ? {} : { signal })
  }
  return []
}

/** `undefined` where a repeated sending met the document that the first one had stored. */
function failureOf(
  { index, code, errmsg = '' }: WriteError,
  sent: readonly IndexedDocument[],
  isRepeated: boolean,
): InsertFailure | undefined {
  const document = sent[index]
  const isOfId = code === DUPLICATE_KEY && /index: _id_/.test(errmsg)
  if (isRepeated && isOfId && document?.hasOwnId === true) return undefined
  const mayBeOurs =
    isRepeated && isOfId ? ', perhaps this one, sent before the connection broke' : ''
  const reason =
    code === DUPLICATE_KEY ? `a document with this key exists${mayBeOurs}` : `server error ${code}`
  return { index: document?.index ?? index, serverCode: code, reason }
}

function isTransient(thrown: unknown): boolean {
  const error = unwrapBulkError(thrown)
  if (error instanceof MongoNetworkError) return true
  return error instanceof MongoError && error.hasErrorLabel('RetryableWriteError')
}

/** Full jitter up to 100 ms, 200 ms, … 2 s. Source: Brooker, "Exponential Backoff and Jitter", AWS 2015. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(2_000, 50 * 2 ** attempt)
}

function checkOptions({
  batchSize = 1_000,
  maxBatchBytes = 16 * 1024 * 1024,
  maxAttempts = 3,
}: InsertManyOptions): { maxDocuments: number; maxBytes: number; maxAttempts: number } {
  checkRange('batchSize', batchSize, 1, 100_000)
  checkRange('maxBatchBytes', maxBatchBytes, 1024, 47 * 1024 * 1024)
  checkRange('maxAttempts', maxAttempts, 1, 100)
  return { maxDocuments: batchSize, maxBytes: maxBatchBytes, maxAttempts }
}

function checkRange(option: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new RangeError(`${option} must be a whole number from ${min} to ${max}, got ${value}`)
}
