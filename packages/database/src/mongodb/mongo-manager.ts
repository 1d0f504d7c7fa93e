import { ClosedError, systemClock, type Clock, type Metrics } from '@dharma/core'
import {
  MongoClient,
  type AggregateOptions,
  type Collection,
  type Db,
  type Document,
  type Filter,
  type FindOptions,
  type MongoClientOptions,
  type UpdateFilter,
} from 'mongodb'
import { wrapMongoError } from './errors.ts'
import { insertManyInto, type InsertManyOptions, type InsertManyResult } from './insert-many.ts'
import { OperationMetrics } from './operation-metrics.ts'

export interface MongoManagerOptions {
  /** `mongodb://` or `mongodb+srv://`; may hold a password, and is never shown. */
  readonly url: string
  /** @default the one that the URL names, else `test` */
  readonly database?: string
  readonly pool?: MongoPoolOptions
  /** How long an operation may look for a member that can take it. At least 100. @default 5000 */
  readonly serverSelectionTimeoutMs?: number
  /**
   * How long the server may be silent in the middle of an operation before its connection is given
   * up; a read is then tried once more. At least 100. @default 30_000
   */
  readonly silenceTimeoutMs?: number
  /** How the server and its operators name this service. @default none */
  readonly applicationName?: string
  readonly metrics?: Metrics
  /** @default systemClock */
  readonly clock?: Clock
}

export interface MongoPoolOptions {
  /** Connections kept open. At least 0. @default 2 */
  readonly min?: number
  /**
   * Connections at most. At least 1. The driver's own default of 100 lets one service take a small
   * server's whole budget. @default 20
   */
  readonly max?: number
  /** How long an operation may wait for a free connection. At least 1. @default 5000 */
  readonly waitTimeoutMs?: number
  /** After how long an unused connection is closed. At least 1000. @default 60_000 */
  readonly idleTimeoutMs?: number
}

/** MongoDB with bounded waits, batched writes and one metric for each kind of operation. */
export class MongoManager {
  readonly #client: MongoClient
  readonly #database: string | undefined
  readonly #metrics: OperationMetrics
  #isClosed = false

  /** @throws RangeError naming option, limit and value */
  constructor(options: MongoManagerOptions) {
    this.#client = new MongoClient(options.url, clientOptions(options))
    this.#database = options.database
    this.#metrics = new OperationMetrics(options.metrics, options.clock ?? systemClock)
  }

  /**
   * Reaches the server now, so that a wrong address or password is known at start and not by the
   * first user. Operations connect by themselves if this was not called.
   *
   * @throws MongoConnectionError
   */
  async connect(): Promise<this> {
    await this.#run('connect', 'admin', async () => {
      await this.#client.connect()
      await this.#client.db('admin').command({ ping: 1 })
    })
    return this
  }

  /** The driver's own database, for all that has no method here. */
  get database(): Db {
    if (this.#isClosed) throw new ClosedError('MongoManager')
    return this.#client.db(this.#database)
  }

  collection<T extends Document = Document>(name: string): Collection<T> {
    return this.database.collection<T>(name)
  }

  /**
   * The documents that match, all in memory: give a `limit`, or use `collection(name).find()` for a
   * cursor. @throws MongoOperationError, MongoConnectionError
   */
  async find<T extends Document = Document>(
    collection: string,
    filter: Filter<T> = {},
    options: FindOptions = {},
  ): Promise<T[]> {
    return this.#run('find', collection, async () => {
      return (await this.collection<T>(collection).find(filter, options).toArray()) as T[]
    })
  }

  async findOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    options: FindOptions = {},
  ): Promise<T | undefined> {
    return this.#run('findOne', collection, async () => {
      const found = await this.collection<T>(collection).findOne(filter, options)
      return (found ?? undefined) as T | undefined
    })
  }

  /** All documents that a pipeline gives, in memory: end it with a `$limit` where there may be many. */
  async aggregate<T extends Document = Document>(
    collection: string,
    pipeline: readonly Document[],
    options: AggregateOptions = {},
  ): Promise<T[]> {
    return this.#run('aggregate', collection, () => {
      return this.collection(collection)
        .aggregate<T>([...pipeline], options)
        .toArray()
    })
  }

  async updateOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    update: UpdateFilter<T>,
  ): Promise<{ readonly matched: number; readonly modified: number }> {
    return this.#run('updateOne', collection, async () => {
      const result = await this.collection<T>(collection).updateOne(filter, update)
      return { matched: result.matchedCount, modified: result.modifiedCount }
    })
  }

  /**
   * Stores documents from a source of any length, in batches split by count and size.
   * @throws MongoConnectionError when the connection fails `maxAttempts` times; what earlier batches
   * stored stays
   */
  async insertMany(
    collection: string,
    documents: Iterable<Document> | AsyncIterable<Document>,
    options: InsertManyOptions = {},
  ): Promise<InsertManyResult> {
    return this.#run('insertMany', collection, () => {
      return insertManyInto(this.collection(collection), documents, options)
    })
  }

  /** Reads once from the primary. @throws MongoConnectionError */
  async ping(): Promise<void> {
    await this.#run('ping', 'admin', () => this.#client.db('admin').command({ ping: 1 }))
  }

  /** Ends all connections; operations under way fail. Calling it again does nothing. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#client.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run<R>(operation: string, collection: string, work: () => Promise<R>): Promise<R> {
    if (this.#isClosed) throw new ClosedError('MongoManager')
    return this.#metrics.time(operation, collection, async () => {
      try {
        return await work()
      } catch (error) {
        throw wrapMongoError(collection, error)
      }
    })
  }
}

function clientOptions({
  pool = {},
  serverSelectionTimeoutMs = 5_000,
  silenceTimeoutMs = 30_000,
  applicationName,
}: MongoManagerOptions): MongoClientOptions {
  const { min = 2, max = 20, waitTimeoutMs = 5_000, idleTimeoutMs = 60_000 } = pool
  atLeast('serverSelectionTimeoutMs', serverSelectionTimeoutMs, 100)
  atLeast('silenceTimeoutMs', silenceTimeoutMs, 100)
  atLeast('pool.min', min, 0)
  atLeast('pool.max', max, Math.max(1, min))
  atLeast('pool.waitTimeoutMs', waitTimeoutMs, 1)
  atLeast('pool.idleTimeoutMs', idleTimeoutMs, 1000)
  return {
    minPoolSize: min,
    maxPoolSize: max,
    waitQueueTimeoutMS: waitTimeoutMs,
    maxIdleTimeMS: idleTimeoutMs,
    serverSelectionTimeoutMS: serverSelectionTimeoutMs,
    connectTimeoutMS: serverSelectionTimeoutMs,
    socketTimeoutMS: silenceTimeoutMs,
    // Writes wait for a majority: what was acknowledged survives a change of the primary.
    writeConcern: { w: 'majority' },
    retryReads: true,
    retryWrites: true,
    ...(applicationName === undefined ? {} : { appName: applicationName }),
  }
}

function atLeast(option: string, value: number, min: number): void {
  if (Number.isInteger(value) && value >= min) return
  throw new RangeError(`${option} must be a whole number of at least ${min}, got ${value}`)
}
