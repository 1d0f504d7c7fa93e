import { MongoBulkWriteError, type Collection, type Document } from 'mongodb'
import { isSocketError, MongoOperationError, unwrapBulkError, wrapMongoError } from './errors.ts'
import { DUPLICATE_KEY } from './write-retry.ts'

/** Documents sent together at most. */
const MAX_BATCH = 1_000
/** Batches of a collection under way at once: one is stored while the next is on its way. */
const MAX_IN_FLIGHT = 2

interface Waiting {
  readonly document: Document
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Queue {
  waiting: Waiting[]
  inFlight: number
  isScheduled: boolean
}

/**
 * Sends documents that are stored one by one in the same turn of the event loop as one unordered
 * batch, and answers each for itself. While batches are under way, the next one gathers.
 */
export class InsertCoalescer {
  readonly #collectionOf: (name: string) => Collection
  readonly #queues = new Map<string, Queue>()

  constructor(collectionOf: (name: string) => Collection) {
    this.#collectionOf = collectionOf
  }

  /** The document must have an `_id`. */
  insert(collection: string, document: Document): Promise<void> {
    let queue = this.#queues.get(collection)
    if (queue === undefined) {
      queue = { waiting: [], inFlight: 0, isScheduled: false }
      this.#queues.set(collection, queue)
    }
    const { waiting } = queue
    const stored = new Promise<void>((resolve, reject) => {
      waiting.push({ document, resolve, reject })
    })
    this.#schedule(collection, queue)
    return stored
  }

  #schedule(collection: string, queue: Queue): void {
    if (queue.isScheduled || queue.inFlight >= MAX_IN_FLIGHT) return
    queue.isScheduled = true
    setImmediate(() => {
      queue.isScheduled = false
      void this.#send(collection, queue)
    })
  }

  async #send(collection: string, queue: Queue): Promise<void> {
    const batch = queue.waiting.slice(0, MAX_BATCH)
    queue.waiting = queue.waiting.slice(MAX_BATCH)
    queue.inFlight += 1
    if (queue.waiting.length > 0) this.#schedule(collection, queue)
    try {
      await this.#collectionOf(collection).insertMany(
        batch.map(({ document }) => document),
        { ordered: false },
      )
      for (const { resolve } of batch) resolve()
    } catch (error) {
      settleFailed(collection, batch, error)
    } finally {
      queue.inFlight -= 1
      if (queue.waiting.length > 0) this.#schedule(collection, queue)
      else if (queue.inFlight === 0 && !queue.isScheduled) this.#queues.delete(collection)
    }
  }
}

function settleFailed(collection: string, batch: readonly Waiting[], error: unknown): void {
  const isOfDocuments =
    error instanceof MongoBulkWriteError &&
    error.result.getWriteErrorCount() > 0 &&
    error.result.getWriteConcernError() === undefined
  if (!isOfDocuments) {
    // Where a connection broke, those who wait for a document may send it again.
    const cause = unwrapBulkError(error)
    const reason = isSocketError(cause) ? cause : wrapMongoError(collection, error)
    for (const { reject } of batch) reject(reason)
    return
  }
  const failures = new Map(error.result.getWriteErrors().map((one) => [one.index, one]))
  for (const [index, { resolve, reject }] of batch.entries()) {
    const failure = failures.get(index)
    if (failure === undefined) {
      resolve()
      continue
    }
    const reason =
      failure.code === DUPLICATE_KEY ? 'a document with this key exists' : 'server error'
    reject(
      new MongoOperationError(collection, `${reason} (${failure.code})`, failure.code, {
        cause: failure,
      }),
    )
  }
}
