import { BSON, ObjectId, type Document } from 'mongodb'

/** A document on its way, with the position it had among those given. */
export interface IndexedDocument {
  readonly index: number
  readonly document: Document
  /** Whether the `_id` was made here, so that no other document can have it. */
  readonly hasOwnId: boolean
}

export interface BatchLimits {
  readonly maxDocuments: number
  readonly maxBytes: number
}

/** The server takes no document above this. Source: MongoDB manual, "MongoDB Limits and Thresholds". */
const MAX_DOCUMENT_BYTES: number = 16 * 1024 * 1024

/** Measuring takes as long as encoding: the first are measured, and then one of so many. */
const MEASURED_FIRST = 32
const MEASURED_EACH = 32

/**
 * Groups documents by count and size, each with an `_id` of its own, given here so that a batch can
 * be sent again without storing anything twice. The caller's objects are not changed. A document
 * that is found to be too large, or that BSON cannot hold, goes to `onUnfit` instead; those that
 * were not measured are met when they are sent.
 */
export async function* insertBatches(
  documents: Iterable<Document> | AsyncIterable<Document>,
  limits: BatchLimits,
  onUnfit: (index: number, reason: string) => void,
): AsyncGenerator<IndexedDocument[]> {
  const gathering = new GatheringBatch(limits, onUnfit)
  if (Symbol.iterator in documents) {
    // Waiting for what is there costs more than the rest of the loop.
    for (const document of documents) {
      const full = gathering.add(document)
      if (full !== undefined) yield full
    }
  } else {
    for await (const document of documents) {
      const full = gathering.add(document)
      if (full !== undefined) yield full
    }
  }
  if (gathering.batch.length > 0) yield gathering.batch
}

class GatheringBatch {
  batch: IndexedDocument[] = []
  readonly #limits: BatchLimits
  readonly #onUnfit: (index: number, reason: string) => void
  #bytes = 0
  /** Of the document measured last. */
  #size = 0
  #index = -1

  constructor(limits: BatchLimits, onUnfit: (index: number, reason: string) => void) {
    this.#limits = limits
    this.#onUnfit = onUnfit
  }

  /** Takes a document in, and returns the batch that it did not fit into. */
  add(given: Document): IndexedDocument[] | undefined {
    const index = ++this.#index
    const hasOwnId = !('_id' in given)
    const document: Document = hasOwnId ? { _id: new ObjectId(), ...given } : given
    if (index < MEASURED_FIRST || index % MEASURED_EACH === 0) {
      const size = sizeOf(document)
      if (typeof size === 'string') {
        this.#onUnfit(index, size)
        return undefined
      }
      this.#size = size
    }
    const { maxDocuments, maxBytes } = this.#limits
    const { length } = this.batch
    const isFull = length >= maxDocuments || (length > 0 && this.#bytes + this.#size > maxBytes)
    const full = isFull ? this.batch : undefined
    if (isFull) {
      this.batch = []
      this.#bytes = 0
    }
    this.batch.push({ index, document, hasOwnId })
    this.#bytes += this.#size
    return full
  }
}

/** Encoded bytes, or why the document cannot be stored. */
export function sizeOf(document: Document): number | string {
  try {
    const bytes = BSON.calculateObjectSize(document)
    if (bytes <= MAX_DOCUMENT_BYTES) return bytes
    return `has ${bytes} bytes, the limit is ${MAX_DOCUMENT_BYTES}`
  } catch (error) {
    return `BSON cannot hold it: ${error instanceof Error ? error.message : String(error)}`
  }
}
