import { ObjectId, type Collection, type Document, type Filter, type UpdateFilter } from 'mongodb'
import { explainBoth, type ExplainedAggregation } from './aggregation/explain-aggregation.ts'
import { optimizePipeline } from './aggregation/optimize-pipeline.ts'
import { InsertCoalescer } from './insert-coalescer.ts'
import {
  driverOptions,
  readOptions,
  type AggregationOptions,
  type OperationOptions,
  type ReadOptions,
  type UpdateOptions,
  type UpdateResult,
} from './operation-options.ts'
import type { Operation, OperationRunner } from './operation-runner.ts'
import { isDuplicateId } from './write-retry.ts'

/** The operations of one command each; `MongoManager` adds what takes several. */
export abstract class MongoOperations {
  protected readonly runner: OperationRunner
  readonly #coalescer: InsertCoalescer | undefined

  protected constructor(runner: OperationRunner, coalesceInserts: boolean) {
    this.runner = runner
    this.#coalescer = coalesceInserts
      ? new InsertCoalescer((name) => this.collection(name))
      : undefined
  }

  /** The driver's own collection, for all that has no method here. */
  abstract collection<T extends Document = Document>(name: string): Collection<T>

  /**
   * The documents that match, all in memory: give a `limit`, or use {@link stream}.
   * @throws MongoOperationError, MongoConnectionError, TimeoutError; so do all methods
   */
  async find<T extends Document = Document>(
    collection: string,
    filter: Filter<T> = {},
    options: ReadOptions = {},
  ): Promise<T[]> {
    const work = async (): Promise<T[]> => {
      const settings = readOptions(options, this.runner.timeoutMs)
      return (await this.collection<T>(collection).find(filter, settings).toArray()) as T[]
    }
    const operation = { name: 'find', collection, query: filter, ...options }
    return this.runner.run(operation, work, (found) => found.length)
  }

  async findOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    options: ReadOptions = {},
  ): Promise<T | undefined> {
    const work = async (): Promise<T | undefined> => {
      const settings = readOptions(options, this.runner.timeoutMs)
      const found = await this.collection<T>(collection).findOne(filter, settings)
      return (found ?? undefined) as T | undefined
    }
    const operation = { name: 'findOne', collection, query: filter, ...options }
    return this.runner.run(operation, work, (found) => (found === undefined ? 0 : 1))
  }

  /**
   * The documents that match, one by one: no more than a batch of them is in memory. The deadline
   * holds for each wait. Leaving the loop ends the cursor on the server.
   * @throws MongoCursorLostError where the server ended it, saying how many had come
   */
  stream<T extends Document = Document>(
    collection: string,
    filter: Filter<T> = {},
    options: ReadOptions = {},
  ): AsyncGenerator<T, void> {
    const cursor = this.collection<T>(collection).find(filter, driverOptions(options))
    const operation = { name: 'stream', collection, query: filter, ...options }
    return this.runner.stream(operation, cursor[Symbol.asyncIterator]() as AsyncIterator<T>)
  }

  /** All documents that a pipeline gives, in memory: end it with a `$limit` where there may be many. */
  async aggregate<T extends Document = Document>(
    collection: string,
    pipeline: readonly Document[],
    options: AggregationOptions = {},
  ): Promise<T[]> {
    const { optimize, facts, ...rest } = options
    const sent = optimize === true ? optimizePipeline(pipeline, facts).pipeline : [...pipeline]
    const work = (): Promise<T[]> => {
      const settings = readOptions(rest, this.runner.timeoutMs)
      return this.collection(collection).aggregate<T>(sent, settings).toArray()
    }
    const isWrite = sent.some((stage) => '$out' in stage || '$merge' in stage)
    const operation = { name: 'aggregate', collection, query: sent, isWrite, ...rest }
    return this.runner.run(operation, work, (found) => found.length)
  }

  /**
   * What {@link optimizePipeline} makes of a pipeline, and what the server does for it before and
   * after. Runs both; refuses pipelines that write.
   */
  async explainAggregation(
    collection: string,
    pipeline: readonly Document[],
    options: Omit<AggregationOptions, 'optimize'> = {},
  ): Promise<ExplainedAggregation> {
    if (pipeline.some((stage) => '$out' in stage || '$merge' in stage)) {
      throw new TypeError('explainAggregation runs the pipeline: it must not have $out or $merge')
    }
    const { facts = {}, ...rest } = options
    const operation = { name: 'explainAggregation', collection, query: pipeline, ...rest }
    return this.run(operation, () => {
      return explainBoth(this.collection(collection), pipeline, facts, driverOptions(rest))
    })
  }

  async countDocuments<T extends Document = Document>(
    collection: string,
    filter: Filter<T> = {},
    options: OperationOptions = {},
  ): Promise<number> {
    const operation = { name: 'countDocuments', collection, query: filter, ...options }
    return this.run(operation, () => {
      const settings = readOptions(options, this.runner.timeoutMs)
      return this.collection<T>(collection).countDocuments(filter, settings)
    })
  }

  /** The different values of a field; those of an array each for itself. */
  async distinct<T extends Document = Document>(
    collection: string,
    field: string,
    filter: Filter<T> = {},
    options: OperationOptions = {},
  ): Promise<unknown[]> {
    const operation = { name: 'distinct', collection, query: filter, ...options }
    return this.run(operation, () => {
      const settings = readOptions(options, this.runner.timeoutMs)
      return this.collection(collection).distinct(field, filter as Document, settings)
    })
  }

  /** Stores one document and returns its `_id`. See `coalesceInserts`. */
  async insertOne(
    collection: string,
    document: Document,
    options: OperationOptions = {},
  ): Promise<unknown> {
    const hasOwnId = !('_id' in document)
    const stored: Document = hasOwnId ? { _id: new ObjectId(), ...document } : document
    const asked = { name: 'insertOne', collection, isWrite: true, mayRepeat: hasOwnId, ...options }
    const send = async (): Promise<void> => {
      const { session } = options
      if (this.#coalescer !== undefined && session === undefined) {
        await this.#coalescer.insert(collection, stored)
      } else {
        await this.collection(collection).insertOne(stored, driverOptions(options))
      }
    }
    let sendings = 0
    const work = async (): Promise<void> => {
      sendings += 1
      await send().catch((error: unknown) => {
        // Nobody else has this `_id`: an earlier sending was carried out and not answered.
        if (sendings === 1 || !isDuplicateId(error)) throw error
      })
    }
    await this.runner.run(asked, work, () => 1)
    return stored['_id']
  }

  async updateOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options: UpdateOptions = {},
  ): Promise<UpdateResult> {
    return this.#update('updateOne', collection, filter, options, () => {
      return this.collection<T>(collection).updateOne(filter, update, driverOptions(options))
    })
  }

  async updateMany<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options: UpdateOptions = {},
  ): Promise<UpdateResult> {
    return this.#update('updateMany', collection, filter, options, () => {
      return this.collection<T>(collection).updateMany(filter, update, driverOptions(options))
    })
  }

  async replaceOne(
    collection: string,
    filter: Filter<Document>,
    replacement: Document,
    options: Omit<UpdateOptions, 'arrayFilters'> = {},
  ): Promise<UpdateResult> {
    return this.#update('replaceOne', collection, filter, options, () => {
      return this.collection(collection).replaceOne(filter, replacement, driverOptions(options))
    })
  }

  /** How many documents were deleted: 0 or 1. */
  async deleteOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    options: OperationOptions = {},
  ): Promise<number> {
    const operation = { name: 'deleteOne', collection, query: filter, isWrite: true, ...options }
    return this.run(operation, async () => {
      const target = this.collection<T>(collection)
      return (await target.deleteOne(filter, driverOptions(options))).deletedCount
    })
  }

  /** How many documents were deleted. */
  async deleteMany<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    options: OperationOptions = {},
  ): Promise<number> {
    const operation = { name: 'deleteMany', collection, query: filter, isWrite: true, ...options }
    return this.run(operation, async () => {
      const target = this.collection<T>(collection)
      return (await target.deleteMany(filter, driverOptions(options))).deletedCount
    })
  }

  /** Changes one document and returns it as it is then; `undefined` if none matches. */
  async findOneAndUpdate<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options: UpdateOptions & { readonly sort?: Readonly<Record<string, 1 | -1>> } = {},
  ): Promise<T | undefined> {
    const asked = { name: 'findOneAndUpdate', collection, query: filter, isWrite: true, ...options }
    const work = async (): Promise<T | undefined> => {
      const settings = { ...driverOptions(options), returnDocument: 'after' as const }
      const target = this.collection<T>(collection)
      const found = await target.findOneAndUpdate(filter, update, settings)
      return (found ?? undefined) as T | undefined
    }
    return this.runner.run(asked, work, (found) => (found === undefined ? 0 : 1))
  }

  protected run<R>(operation: Operation, work: () => Promise<R>): Promise<R> {
    return this.runner.run(operation, work, (result) => (typeof result === 'number' ? result : 0))
  }

  #update(
    name: string,
    collection: string,
    query: unknown,
    options: OperationOptions,
    work: () => Promise<{ matchedCount: number; modifiedCount: number; upsertedId: unknown }>,
  ): Promise<UpdateResult> {
    const operation = { name, collection, query, isWrite: true, ...options }
    const update = async (): Promise<UpdateResult> => {
      const { matchedCount, modifiedCount, upsertedId } = await work()
      const changed = { matched: matchedCount, modified: modifiedCount }
      return upsertedId === null ? changed : { ...changed, upsertedId }
    }
    return this.runner.run(operation, update, ({ modified, upsertedId }) => {
      return modified + (upsertedId === undefined ? 0 : 1)
    })
  }
}
