import { MongoManager } from '@dharma/database/mongodb'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { MongoClient, type AnyBulkWriteOperation, type Collection, type Document } from 'mongodb'

const DATABASE = 'dharma_bench'

interface Connected {
  readonly manager: MongoManager
  readonly collection: Collection
  close(): Promise<void>
}

/** A manager and the driver beside it, on a collection that is theirs alone. */
async function connect({ urls }: BenchContext, name: string): Promise<Connected> {
  const options = { url: urls.mongo, database: DATABASE, coalesceInserts: true }
  const manager = await new MongoManager(options).connect()
  const client = await new MongoClient(urls.mongo, { maxPoolSize: 20 }).connect()
  const collection = client.db(DATABASE).collection(name)
  await collection.drop()
  await client.db(DATABASE).createCollection(name)
  return {
    manager,
    collection,
    close: async () => {
      await manager.close()
      await client.close()
    },
  }
}

function makeDocuments(count: number): Document[] {
  return Array.from({ length: count }, (_, n) => ({
    n,
    handle: `user ${n}`,
    body: `línea ${n}\nwith a text of more than a few characters`,
    at: new Date(1.6e12 + n * 1000),
    attributes: { topics: ['travel', 'music'], rank: n },
    active: n % 2 === 0,
  }))
}

/** Documents a second, into a collection that is emptied before. */
async function storing(
  context: BenchContext,
  name: string,
  counts: { readonly full: number; readonly once: number },
  store: (connected: Connected, documents: readonly Document[]) => Promise<unknown>,
): Promise<Subject> {
  const connected = await connect(context, name)
  const count = context.once ? counts.once : counts.full
  return {
    async measure() {
      const documents = makeDocuments(count)
      await connected.collection.deleteMany({})
      const startedMs = performance.now()
      await store(connected, documents)
      const seconds = (performance.now() - startedMs) / 1000
      return { opsPerSec: count / seconds, nsPerOp: (seconds * 1e9) / count }
    },
    close: () => connected.close(),
  }
}

/** Stores documents one by one, with so many callers at once. */
function oneByOne(
  context: BenchContext,
  name: string,
  callers: number,
  full: number,
  insert: (connected: Connected, document: Document) => Promise<unknown>,
): Promise<Subject> {
  return storing(context, name, { full, once: 256 }, async (connected, documents) => {
    const source = documents.values()
    await Promise.all(
      Array.from({ length: callers }, async () => {
        for (const document of source) await insert(connected, document)
      }),
    )
  })
}

/** Inserts, changes and deletions in turn: of one document the insert, then its change. */
function mixedOperations(count: number): AnyBulkWriteOperation[] {
  return Array.from({ length: count }, (_, n): AnyBulkWriteOperation => {
    const id = (n - (n % 3)) as never
    if (n % 3 === 0) return { insertOne: { document: { _id: id, n } } }
    if (n % 3 === 1) return { updateOne: { filter: { _id: id }, update: { $set: { x: n } } } }
    return { deleteOne: { filter: { _id: -n as never } } }
  })
}

async function mixed(
  context: BenchContext,
  name: string,
  full: number,
  write: (connected: Connected, operations: AnyBulkWriteOperation[]) => Promise<unknown>,
): Promise<Subject> {
  const connected = await connect(context, name)
  const operations = mixedOperations(context.once ? 30 : full)
  return {
    async measure() {
      await connected.collection.deleteMany({})
      const startedMs = performance.now()
      await write(connected, operations)
      const seconds = (performance.now() - startedMs) / 1000
      const count = operations.length
      return { opsPerSec: count / seconds, nsPerOp: (seconds * 1e9) / count }
    },
    close: () => connected.close(),
  }
}

const DEAD_LOOKUP: Document[] = [
  { $match: { active: true } },
  { $lookup: { from: 'authors', localField: 'author', foreignField: '_id', as: 'author_doc' } },
  { $group: { _id: '$topic', count: { $sum: 1 } } },
]

const FACET: Document[] = [
  {
    $facet: Object.fromEntries(
      ['a', 'b', 'c'].map((topic) => [
        topic,
        [{ $match: { day: 7, topic } }, { $sort: { n: -1 } }, { $limit: 10 }],
      ]),
    ),
  },
]

async function aggregating(
  context: BenchContext,
  name: string,
  pipeline: Document[],
  optimize: boolean,
): Promise<Subject> {
  const connected = await connect(context, name)
  const count = context.once ? 200 : 20_000
  const documents = Array.from({ length: count }, (_, n) => ({
    n,
    author: n % 1_000,
    topic: 'abc'[n % 3],
    day: n % 100,
    active: n % 4 === 0,
  }))
  await connected.collection.insertMany(documents)
  await connected.collection.createIndex({ day: 1 })
  const authors = Array.from({ length: 1_000 }, (_, n) => ({ _id: n, name: `name ${n}` }))
  await connected.manager.bulkUpsert('authors', authors, { key: '_id' })
  return {
    async iterate(times) {
      for (let n = 0; n < times; n++) {
        await connected.manager.aggregate(name, pipeline, { optimize })
      }
    },
    close: () => connected.close(),
  }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'database.mongo-insert-many',
    title: 'one document of six fields stored among 40,000',
    servers: ['mongo'],
    subjects: {
      'dharma insertMany, retries on': (context) =>
        storing(context, 'many', { full: 40_000, once: 100 }, ({ manager }, documents) =>
          manager.insertMany('many', documents),
        ),
      'driver insertMany': (context) =>
        storing(context, 'raw', { full: 40_000, once: 100 }, ({ collection }, documents) =>
          collection.insertMany([...documents], { ordered: false }),
        ),
    },
    bars: [
      {
        subject: 'dharma insertMany, retries on',
        over: 'driver insertMany',
        figure: 'opsPerSec',
        atLeast: 1,
      },
    ],
  }),
  defineBench({
    name: 'database.mongo-insert-one',
    title: 'one document stored by its own call, with so many callers',
    servers: ['mongo'],
    subjects: {
      'dharma insertOne coalesced, 64': (context) =>
        oneByOne(context, 'one64', 64, 20_000, ({ manager }, document) =>
          manager.insertOne('one64', document),
        ),
      'dharma insertOne coalesced, 256': (context) =>
        oneByOne(context, 'one256', 256, 20_000, ({ manager }, document) =>
          manager.insertOne('one256', document),
        ),
      'driver insertOne, 64': (context) =>
        oneByOne(context, 'raw64', 64, 3_000, ({ collection }, document) =>
          collection.insertOne(document),
        ),
      'driver insertOne, 256': (context) =>
        oneByOne(context, 'raw256', 256, 3_000, ({ collection }, document) =>
          collection.insertOne(document),
        ),
    },
    bars: [
      {
        subject: 'dharma insertOne coalesced, 64',
        over: 'driver insertOne, 64',
        figure: 'opsPerSec',
        atLeast: 5,
      },
      {
        subject: 'dharma insertOne coalesced, 256',
        over: 'driver insertOne, 256',
        figure: 'opsPerSec',
        atLeast: 12,
      },
    ],
  }),
  defineBench({
    name: 'database.mongo-mixed-bulk',
    title: 'one operation of an ordered bulk of inserts, updates and deletions in turn',
    servers: ['mongo'],
    subjects: {
      'dharma bulkWrite, regrouped': (context) =>
        mixed(context, 'regrouped', 6_000, ({ manager }, operations) =>
          manager.bulkWrite('regrouped', operations, { regroup: true, batchSize: 3_000 }),
        ),
      'driver bulkWrite, ordered': (context) =>
        mixed(context, 'ordered', 900, ({ collection }, operations) =>
          collection.bulkWrite(operations, { ordered: true }),
        ),
    },
    bars: [
      {
        subject: 'dharma bulkWrite, regrouped',
        over: 'driver bulkWrite, ordered',
        figure: 'opsPerSec',
        atLeast: 30,
      },
    ],
  }),
  defineBench({
    name: 'database.mongo-aggregation',
    title: 'one aggregation over 20,000 documents',
    servers: ['mongo'],
    subjects: {
      'dead $lookup, optimized': (context) => aggregating(context, 'lookup2', DEAD_LOOKUP, true),
      'dead $lookup, as given': (context) => aggregating(context, 'lookup1', DEAD_LOOKUP, false),
      'common $match in $facet, optimized': (context) =>
        aggregating(context, 'facet2', FACET, true),
      'common $match in $facet, as given': (context) =>
        aggregating(context, 'facet1', FACET, false),
    },
    bars: [
      { subject: 'dead $lookup, as given', over: 'dead $lookup, optimized', atLeast: 4 },
      {
        subject: 'common $match in $facet, as given',
        over: 'common $match in $facet, optimized',
        atLeast: 8,
      },
    ],
  }),
]
