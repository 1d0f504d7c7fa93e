import { optimizePipeline, type PipelineFacts } from '@dharma/database/mongodb'
import { createMongoDatabase } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import fc from 'fast-check'
import { BSON, MongoClient, type Db, type Document } from 'mongodb'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { hasDefinedOrder, randomDocument, randomPipeline } from './random-pipelines.ts'

const FACTS: PipelineFacts = {
  scalars: ['s', '_id'],
  indexes: [{ s: 1, b: 1, _id: 1 }],
}

describeWithMongo('an optimized pipeline', () => {
  let client: MongoClient
  let db: Db

  beforeAll(async () => {
    const fresh = createMongoDatabase(inject('mongoUrl'))
    client = await new MongoClient(fresh.url).connect()
    db = client.db()
    const other = [0, 1, 2, 'a', null, [1, 'b']].map((k, n) => ({ _id: n as never, k, x: n % 3 }))
    await db.collection('other').insertMany(other)
    await db.collection('things').createIndex({ s: 1 })
    await db.collection('things').createIndex({ a: 1 })
  })

  afterAll(async () => {
    await db.dropDatabase()
    await client.close()
  })

  /** Its documents as bytes, or `undefined` where the server refuses it. */
  async function resultOf(pipeline: readonly Document[]): Promise<string[] | undefined> {
    const cursor = db.collection('things').aggregate([...pipeline], { promoteValues: false })
    const found = await cursor.toArray().catch(() => undefined)
    return found?.map((one) => Buffer.from(BSON.serialize(canonical(one))).toString('hex'))
  }

  it('gives what the original gives, on random documents and pipelines', async () => {
    const seen = new Map<string, number>()
    let refused = 0
    let compared = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(randomDocument, { minLength: 4, maxLength: 14 }),
        fc.array(randomPipeline, { minLength: 12, maxLength: 12 }),
        async (documents, pipelines) => {
          await db.collection('things').deleteMany({})
          await db
            .collection('things')
            .insertMany(documents.map((one, n) => ({ _id: n as never, ...one })))
          for (const pipeline of pipelines) {
            const { pipeline: optimized, rewrites } = optimizePipeline(pipeline, FACTS)
            if (rewrites.length === 0) continue
            for (const { id } of rewrites) seen.set(id, (seen.get(id) ?? 0) + 1)
            const wanted = await resultOf(pipeline)
            if (wanted === undefined) {
              refused += 1
              continue
            }
            compared += 1
            const found = await resultOf(optimized)
            const isOrdered = hasDefinedOrder(pipeline)
            const order = (list: readonly string[] | undefined): unknown => {
              return isOrdered ? list : list?.toSorted()
            }
            // With the pipelines, so that a failure shows them.
            expect({ pipeline, optimized, result: order(found) }).toEqual({
              pipeline,
              optimized,
              result: order(wanted),
            })
          }
        },
      ),
      { numRuns: Number(process.env['DHARMA_PROPERTY_RUNS'] ?? 40) },
    )
    expect(compared).toBeGreaterThan(refused)
    expect([...seen.keys()].toSorted()).toEqual(
      expect.arrayContaining([
        'expr-equality-made-plain',
        'expr-equality-prefiltered',
        'facet-match-hoisted',
        'limits-merged',
        'lookup-after-limit',
        'lookup-dropped',
        'match-before-lookup',
        'match-before-set',
        'match-before-sort',
        'match-before-unset',
        'match-merged',
        'skips-merged',
      ]),
    )
  }, 120_000)
})

/** Lists whose order an unordered input decides, sorted: those that `$facet` makes. */
function canonical(document: Document): Document {
  const isFacet = 'f0' in document
  if (!isFacet) return document
  return Object.fromEntries(
    Object.entries(document).map(([key, branch]: [string, Document[]]) => [
      key,
      branch.toSorted((a, b) => Buffer.compare(BSON.serialize(a), BSON.serialize(b))),
    ]),
  )
}
