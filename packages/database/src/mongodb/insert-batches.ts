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

/**
 * Groups documents by count and size, each with an `_id` of its own, given here so that a batch can
 * be sent again without storing anything twice. The caller's objects are not changed. A document
 * that is too large, or that BSON cannot hold, goes to `onUnfit` instead.
 */
export async function* insertBatches(
  documents: Iterable<Document> | AsyncIterable<Document>,
  { maxDocuments, maxBytes }: BatchLimits,
  onUnfit: (index: number, reason: string) => void,
): AsyncGenerator<IndexedDocument[]> {
  let batch: IndexedDocument[] = []
  let bytes = 0
  let index = -1
  for await (const given of documents) {
    index++
    const hasOwnId = !('_id' in given)
    const document: Document = hasOwnId ? { _id: new ObjectId(), ...given } : given
    const size = sizeOf(document)
    if (typeof size === 'string') {
      onUnfit(index, size)
      continue
    }
    if (batch.length >= maxDocuments || (batch.length > 0 && bytes + size > maxBytes)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push({ index, document, hasOwnId })
    bytes += size
  }
  if (batch.length > 0) yield batch
}

/** Encoded bytes, or why the document cannot be stored. */
function sizeOf(document: Document): number | string {
  try {
    const bytes = BSON.calculateObjectSize(document)
    if (bytes <= MAX_DOCUMENT_BYTES) return bytes
    return `has ${bytes} bytes, the limit is ${MAX_DOCUMENT_BYTES}`
  } catch (error) {
    return `BSON cannot hold it: ${error instanceof Error ? error.message : String(error)}`
  }
}
