import type { Clock } from '@dharma/core'
import {
  MongoClient,
  type AnyBulkWriteOperation,
  type ClientSession,
  type Collection,
  type Db,
  type Document,
} from 'mongodb'
import { bulkUpsertInto, type BulkUpsertOptions, type BulkUpsertResult } from './bulk-upsert.ts'
import { bulkWriteInto, type BulkWriteOptions, type BulkWriteReport } from './bulk-write.ts'
import { ChangeFeed, type WatchOptions } from './change-feed.ts'
import { insertManyInto, type InsertManyOptions, type InsertManyResult } from './insert-many.ts'
import type { MongoObserver } from './mongo-observer.ts'
import { MongoOperations } from './mongo-operations.ts'
import { mongoSettings, type MongoManagerOptions } from './mongo-options.ts'
import { OperationRunner } from './operation-runner.ts'
import { regroupingFor } from './regroup.ts'
import { transact, type MongoTransactionOptions } from './transact.ts'

/** MongoDB with deadlines, batched writes, rewritten pipelines and one metric for each kind of operation. */
export class MongoManager extends MongoOperations {
  readonly #client: MongoClient
  readonly #database: string | undefined
  readonly #clock: Clock
  readonly #ending = new AbortController()

  /** @throws RangeError naming option, limit and value */
  constructor(options: MongoManagerOptions) {
    const { client, clock, operationTimeoutMs } = mongoSettings(options)
    const { metrics, coalesceInserts = false } = options
    super(new OperationRunner({ metrics, clock, timeoutMs: operationTimeoutMs }), coalesceInserts)
    this.#client = new MongoClient(options.url, client)
    this.#database = options.database
    this.#clock = clock
  }

  /**
   * Reaches the server now, so that a wrong address or password is known at start and not by the
   * first user. Operations connect by themselves if this was not called.
   *
   * @throws MongoConnectionError
   */
  async connect(): Promise<this> {
    await this.run({ name: 'connect', collection: 'admin' }, async () => {
      await this.#client.connect()
      await this.#client.db('admin').command({ ping: 1 })
    })
    return this
  }

  /** The driver's own database, for all that has no method here. */
  get database(): Db {
    this.runner.checkOpen()
    return this.#client.db(this.#database)
  }

  override collection<T extends Document = Document>(name: string): Collection<T> {
    return this.database.collection<T>(name)
  }

  /** Lets an observer hear of each operation and transaction, before its caller does, until disposed. */
  observe(observer: MongoObserver): Disposable {
    return this.runner.observers.add(observer)
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
    return this.#bulk(
      'insertMany',
      collection,
      options,
      ({ inserted }) => inserted,
      (signal) => {
        return insertManyInto(this.collection(collection), documents, { ...options, signal })
      },
    )
  }

  /**
   * Carries out operations of all kinds from a source of any length, in batches.
   * @throws MongoConnectionError when the connection fails; its `unclear` names operations of which
   * nobody can say whether they were carried out
   */
  async bulkWrite(
    collection: string,
    operations: Iterable<AnyBulkWriteOperation> | AsyncIterable<AnyBulkWriteOperation>,
    options: BulkWriteOptions = {},
  ): Promise<BulkWriteReport> {
    const { ordered = true, regroup = false, session } = options
    return this.#bulk('bulkWrite', collection, options, writtenBy, async (signal) => {
      const target = this.collection(collection)
      const sendRegrouped =
        regroup && ordered && session === undefined
          ? await regroupingFor(this.#client, this.database, target)
          : undefined
      return bulkWriteInto(target, operations, { ...options, signal }, { sendRegrouped })
    })
  }

  /** Inserts each document, or changes the one that has the same key. Of two with one key the later wins. */
  async bulkUpsert(
    collection: string,
    documents: Iterable<Document> | AsyncIterable<Document>,
    options: BulkUpsertOptions,
  ): Promise<BulkUpsertResult> {
    return this.#bulk('bulkUpsert', collection, options, upsertedBy, (signal) => {
      return bulkUpsertInto(this.collection(collection), documents, { ...options, signal })
    })
  }

  /**
   * Runs `fn` in a transaction; give its session to every operation in it. `fn` runs again from the
   * start where the server says that the transaction failed for the moment, so it must do nothing
   * else that cannot be done twice.
   *
   * @throws MongoCommitUnclearError where the commit was not answered within the deadline
   */
  async transaction<R>(
    fn: (session: ClientSession, signal: AbortSignal) => Promise<R>,
    options: MongoTransactionOptions = {},
  ): Promise<R> {
    const operation = {
      name: 'transaction',
      collection: '*',
      timeoutMs: Infinity,
      mayRepeat: false,
    }
    return this.run(operation, () => transact(this.#client, this.runner, fn, options))
  }

  /**
   * Changes of a collection, or of the whole database, from the place stored under the feed's name;
   * resolves when every later change will be seen.
   * @throws MongoChangeGapError where changes since that place are lost and `onGap` is not given
   */
  async watch<T extends Document = Document>(
    collection: string | undefined,
    options: WatchOptions = {},
  ): Promise<ChangeFeed<T>> {
    const source = collection === undefined ? this.database : this.collection(collection)
    const name = collection ?? this.database.databaseName
    const { signal } = options
    const until = signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal
    const feed = new ChangeFeed<T>(source, name, { ...options, signal: until }, this.#clock)
    try {
      return await this.run({ name: 'watch', collection: name, signal, mayRepeat: false }, () =>
        feed.open(),
      )
    } catch (error) {
      await feed.close()
      throw error
    }
  }

  /** Reads once from the primary. */
  async ping(): Promise<void> {
    await this.run({ name: 'ping', collection: 'admin' }, () => {
      return this.#client.db('admin').command({ ping: 1 })
    })
  }

  /** Ends all connections and feeds; operations under way fail. Calling it again does nothing. */
  async close(): Promise<void> {
    this.runner.close()
    this.#ending.abort()
    await this.#client.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** A call of many batches: ended between them at its deadline, if it has one. */
  #bulk<R>(
    name: string,
    collection: string,
    options: Pick<InsertManyOptions, 'timeoutMs' | 'signal' | 'session'>,
    countOf: (result: R) => number,
    work: (signal: AbortSignal) => Promise<R>,
  ): Promise<R> {
    const { signal, session, timeoutMs = Infinity } = options
    const ending = new AbortController()
    const until = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
    const operation = { name, collection, isWrite: true, session, timeoutMs }
    return this.runner
      .run(operation, () => work(until), countOf)
      .finally(() => ending.abort(new Error('the call is over')))
  }
}

function writtenBy({ inserted, modified, deleted, upserted }: BulkWriteReport): number {
  return inserted + modified + deleted + upserted.length
}

function upsertedBy({ inserted, updated }: BulkUpsertResult): number {
  return inserted + updated
}
