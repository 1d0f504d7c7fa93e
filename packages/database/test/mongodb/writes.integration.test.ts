import { MongoManager, type BulkWriteReport } from '@dharma/database/mongodb'
import { createMongoDatabase, type FreshDatabase } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import fc from 'fast-check'
import { ObjectId, type AnyBulkWriteOperation, type Document } from 'mongodb'
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest'

const idValue = (id: unknown): never => id as never

describeWithMongo('writes of many documents', () => {
  let fresh: FreshDatabase
  let database: MongoManager

  beforeAll(async () => {
    fresh = createMongoDatabase(inject('mongoUrl'))
    database = await new MongoManager({ url: fresh.url, coalesceInserts: true }).connect()
    await database.collection('unique').createIndex({ n: 1 }, { unique: true })
    await database.database.createCollection('plain')
  })

  beforeEach(async () => {
    await database.deleteMany('unique', {})
    await database.deleteMany('plain', {})
  })

  afterAll(async () => {
    await database.close()
    await fresh.drop()
  })

  /** Documents by `_id`, without the order in which they lie. */
  async function contentOf(collection: string): Promise<Document[]> {
    return database.find(collection, {}, { sort: { _id: 1 } })
  }

  it('says what became of each operation of a bulk that goes on behind failures', async () => {
    const report = await database.bulkWrite(
      'unique',
      [
        { insertOne: { document: { n: 1 } } },
        { insertOne: { document: { n: 1 } } },
        { updateOne: { filter: { n: 1 }, update: { $set: { x: 1 } } } },
        { updateOne: { filter: { n: 7 }, update: { $set: { x: 1 } }, upsert: true } },
        { deleteMany: { filter: { n: 9 } } },
        { updateMany: { filter: {}, update: { $inc: { x: 1 } } } },
      ],
      { ordered: false },
    )
    expect(report).toMatchObject({ inserted: 1, deleted: 0, skippedFrom: undefined })
    expect(report.upserted.map(({ index }) => index)).toEqual([3])
    expect(report.failed).toEqual([
      { index: 1, serverCode: 11_000, reason: 'a document with this key exists' },
    ])
  })

  it('ends an ordered bulk at its first failure and says what was not tried', async () => {
    const report = await database.bulkWrite('unique', [
      { insertOne: { document: { n: 1 } } },
      { updateOne: { filter: { n: 1 }, update: { $set: { n: 2 } } } },
      { insertOne: { document: { n: 2 } } },
      { insertOne: { document: { n: 3 } } },
    ])
    expect(report).toMatchObject({ inserted: 1, modified: 1, skippedFrom: 3 })
    expect(report.failed.map(({ index }) => index)).toEqual([2])
    expect(await database.countDocuments('unique')).toBe(1)
  })

  it('takes operations from an async source, in batches', async () => {
    async function* source(): AsyncGenerator<AnyBulkWriteOperation> {
      for (let n = 0; n < 250; n++) yield { insertOne: { document: { n } } }
    }
    const report = await database.bulkWrite('unique', source(), { batchSize: 100 })
    expect(report.inserted).toBe(250)
    expect(await database.countDocuments('unique')).toBe(250)
  })

  it('splits a bulk by bytes', async () => {
    const body = 'x'.repeat(6 * 1024 * 1024)
    const operations = [1, 2, 3, 4].map((n) => ({ insertOne: { document: { n, body } } }))
    expect(await database.bulkWrite('unique', operations)).toMatchObject({ inserted: 4 })
  })

  it('refuses what is no operation, and options out of range', async () => {
    const nonsense = { dropEverything: {} } as unknown as AnyBulkWriteOperation
    await expect(database.bulkWrite('plain', [nonsense])).rejects.toThrow('dropEverything')
    await expect(database.bulkWrite('plain', [{} as never])).rejects.toThrow('no key')
    await expect(database.bulkWrite('plain', [], { batchSize: 0 })).rejects.toThrow('batchSize')
    await expect(database.insertMany('plain', [], { maxInFlight: 17 })).rejects.toThrow(
      'maxInFlight',
    )
    await expect(database.bulkUpsert('plain', [], { key: [] })).rejects.toThrow('key')
  })

  it('ends a bulk between batches when its signal aborts, or its time is over', async () => {
    const abort = new AbortController()
    function* source(): Generator<AnyBulkWriteOperation> {
      for (let n = 0; n < 30; n++) {
        if (n === 25) abort.abort(new Error('enough'))
        yield { insertOne: { document: { n } } }
      }
    }
    const writing = database.bulkWrite('plain', source(), { batchSize: 10, signal: abort.signal })
    await expect(writing).rejects.toThrow('enough')
    async function* endless(): AsyncGenerator<Document> {
      yield { n: 1 }
      await new Promise(() => undefined)
    }
    const inserting = database.insertMany('plain', endless(), { timeoutMs: 50 })
    await expect(inserting).rejects.toMatchObject({ code: 'DHARMA_TIMEOUT' })
  })

  it('inserts or changes documents by key, the later of two with one key last', async () => {
    await database.insertMany('unique', [
      { n: 1, kept: true, x: 0 },
      { n: 2, x: 2 },
    ])
    const documents = [
      { n: 1, x: 1 },
      { n: 2, x: 2 },
      { n: 3, x: 3 },
      { n: 3, x: 4 },
    ]
    const result = await database.bulkUpsert('unique', documents, { key: 'n' })
    expect(result).toEqual({ inserted: 1, updated: 2, unchanged: 1, failed: [] })
    const found = await database.find('unique', {}, { sort: { n: 1 }, projection: { _id: 0 } })
    expect(found).toEqual([
      { n: 1, kept: true, x: 1 },
      { n: 2, x: 2 },
      { n: 3, x: 4 },
    ])
  })

  it('replaces documents by key where that is asked for', async () => {
    await database.insertMany('plain', [{ a: 1, b: 1, gone: true }])
    const key = ['a', 'b']
    await database.bulkUpsert('plain', [{ a: 1, b: 1, x: 1 }], { key, mode: 'replace' })
    expect(await database.find('plain', {}, { projection: { _id: 0 } })).toEqual([
      { a: 1, b: 1, x: 1 },
    ])
  })

  it('leaves a document alone of which only the key is given', async () => {
    await database.insertMany('plain', [{ _id: idValue(1), x: 1 }])
    const result = await database.bulkUpsert('plain', [{ _id: 1 }, { _id: 2 }], { key: '_id' })
    expect(result).toMatchObject({ inserted: 1, unchanged: 1 })
    expect(await contentOf('plain')).toEqual([{ _id: 1, x: 1 }, { _id: 2 }])
  })

  it('says which documents cannot be upserted, and why', async () => {
    await database.insertMany('unique', [{ n: 5 }])
    const documents = [
      { x: 1 },
      { key: 1, 'a.b': 1 },
      { key: 2, n: 5 },
      { key: 3, n: 6, _id: new ObjectId() },
    ]
    const result = await database.bulkUpsert('unique', documents, { key: 'key', batchSize: 2 })
    expect(result.inserted).toBe(1)
    expect(result.failed).toMatchObject([
      { index: 0, reason: 'has no key' },
      { index: 1, reason: 'cannot merge a field named a.b' },
      { index: 2, serverCode: 11_000 },
    ])
  })

  it('lets writers race for the same keys without a failure', async () => {
    const documents = Array.from({ length: 50 }, (_, n) => ({ n, x: 1 }))
    const results = await Promise.all(
      Array.from({ length: 6 }, () => database.bulkUpsert('unique', documents, { key: 'n' })),
    )
    expect(results.flatMap(({ failed }) => failed)).toEqual([])
    expect(results.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(50)
  })

  it('answers each of the inserts that are sent together for itself', async () => {
    const settled = await Promise.allSettled(
      [1, 2, 2, 3].map((n) => database.insertOne('unique', { n })),
    )
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(settled[2]).toMatchObject({
      reason: { code: 'DHARMA_MONGO_OPERATION', serverCode: 11_000 },
    })
    expect(await database.countDocuments('unique')).toBe(3)
  })

  it('sends more inserts than fit a batch, and those that come while it is under way', async () => {
    const documents = Array.from({ length: 4_500 }, (_, n) => ({ n }))
    const ids = await Promise.all(documents.map((one) => database.insertOne('plain', one)))
    expect(new Set(ids.map(String)).size).toBe(4_500)
    expect(await database.countDocuments('plain')).toBe(4_500)
    expect(await database.insertOne('plain', { _id: 7 })).toBe(7)
  })

  it('gives every insert of a batch the reason where none could be stored', async () => {
    const settled = await Promise.allSettled(
      [1, 2].map(() => database.insertOne('no$good\0name', { n: 1 })),
    )
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })

  it('regroups independent operations with the result of their order', async () => {
    const operations: AnyBulkWriteOperation[] = Array.from({ length: 90 }, (_, n) => {
      if (n % 3 === 0) return { insertOne: { document: { _id: idValue(n) } } }
      if (n % 3 === 1)
        return { updateOne: { filter: { _id: idValue(n - 1) }, update: { $set: { n } } } }
      return { deleteOne: { filter: { _id: idValue(n % 2 === 0 ? n - 2 : -1) } } }
    })
    const report = await database.bulkWrite('plain', operations, { regroup: true })
    expect(report).toMatchObject({ inserted: 30, modified: 30, deleted: 15, failed: [] })
    expect(await database.countDocuments('plain')).toBe(15)
  })

  it('keeps the order where a unique index, a filter or a session makes operations depend', async () => {
    const operations: AnyBulkWriteOperation[] = [
      { insertOne: { document: { _id: idValue(1), n: 1 } } },
      { deleteOne: { filter: { _id: idValue(1) } } },
      { insertOne: { document: { _id: idValue(2), n: 1 } } },
      { deleteOne: { filter: { n: 1 } } },
      { insertOne: { document: { _id: idValue(3), n: 1 } } },
    ]
    for (const collection of ['unique', 'plain', 'not-there-yet']) {
      const report = await database.bulkWrite(collection, operations, { regroup: true })
      expect(report).toMatchObject({ inserted: 3, deleted: 2, failed: [] })
    }
  })

  it('keeps the order in a capped collection and under a collation', async () => {
    await database.database.createCollection('capped', { capped: true, size: 10_000 })
    const collation = { locale: 'en', strength: 2 }
    await database.database.createCollection('collated', { collation })
    const insert = (id: string): AnyBulkWriteOperation => {
      return { insertOne: { document: { _id: idValue(id) } } }
    }
    const remove = (id: string): AnyBulkWriteOperation => {
      return { deleteOne: { filter: { _id: idValue(id) } } }
    }
    const operations = [insert('a'), remove('A'), insert('A'), remove('b'), insert('b')]
    const options = { regroup: true }
    expect(await database.bulkWrite('collated', operations, options)).toMatchObject({
      inserted: 3,
      failed: [],
    })
    const inserts = [insert('x'), insert('y')]
    expect(await database.bulkWrite('capped', inserts, options)).toMatchObject({ inserted: 2 })
  })

  it('gives, regrouped, what the ordered original gives, on random operations', async () => {
    const id = fc.oneof(fc.nat(4), fc.constantFrom('a', 'b'), fc.constantFrom(-0, 1.5))
    const filter = fc.oneof(
      { weight: 8, arbitrary: id.map((one): Document => ({ _id: one })) },
      { weight: 2, arbitrary: id.map((one): Document => ({ _id: { $eq: one } })) },
      { weight: 1, arbitrary: fc.constant<Document>({ n: { $gte: 2 } }) },
    )
    const upsert = fc.boolean()
    const operation: fc.Arbitrary<AnyBulkWriteOperation> = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(id, fc.nat(3)).map(([one, n]): AnyBulkWriteOperation => ({
          insertOne: { document: { _id: idValue(one), n } },
        })),
      },
      {
        weight: 4,
        arbitrary: fc
          .tuple(filter, fc.nat(3), upsert)
          .map(([where, n, isUpsert]): AnyBulkWriteOperation => ({
            updateOne: { filter: where, update: { $inc: { n } }, upsert: isUpsert },
          })),
      },
      {
        weight: 1,
        arbitrary: filter.map((where): AnyBulkWriteOperation => ({
          updateOne: { filter: where, update: { $set: { n: 'text' } } },
        })),
      },
      {
        weight: 2,
        arbitrary: fc.tuple(filter, fc.nat(3)).map(([where, n]): AnyBulkWriteOperation => ({
          replaceOne: { filter: where, replacement: { n, replaced: true } },
        })),
      },
      {
        weight: 4,
        arbitrary: filter.map((where): AnyBulkWriteOperation => ({
          deleteOne: { filter: where },
        })),
      },
    )
    const operations = fc.array(operation, { minLength: 2, maxLength: 12 })
    let failures = 0
    const run = async (
      given: readonly AnyBulkWriteOperation[],
      regroup: boolean,
    ): Promise<{ report: BulkWriteReport; content: Document[] }> => {
      await database.deleteMany('plain', {})
      const report = await database.bulkWrite('plain', given, { regroup, batchSize: 7 })
      return { report, content: await contentOf('plain') }
    }
    await fc.assert(
      fc.asyncProperty(operations, async (given) => {
        const wanted = await run(given, false)
        failures += wanted.report.failed.length
        const found = await run(given, true)
        const unindexed = ({ upserted, ...rest }: BulkWriteReport): unknown => ({
          ...rest,
          upserted: upserted.map(({ index }) => index),
        })
        expect(unindexed(found.report)).toEqual(unindexed(wanted.report))
        expect(found.content.map(withoutMadeId)).toEqual(wanted.content.map(withoutMadeId))
      }),
      { numRuns: 40 },
    )
    expect(failures).toBeGreaterThan(0)
  }, 60_000)
})

/** An `_id` that the server made is another one each time. */
function withoutMadeId({ _id: id, ...rest }: Document): Document {
  return id instanceof ObjectId ? rest : { id: id as unknown, ...rest }
}
