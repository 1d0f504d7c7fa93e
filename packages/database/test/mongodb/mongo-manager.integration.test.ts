import { MongoManager, MongoOperationError } from '@dharma/database/mongodb'
import { describeWithMongo } from '@dharma/testkit/vitest'
import type { Document } from 'mongodb'
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest'

interface Post extends Document {
  readonly n: number
}

describeWithMongo('MongoManager', () => {
  let database: MongoManager

  beforeAll(async () => {
    database = await new MongoManager({
      url: inject('mongoUrl'),
      database: 'mongo_manager_test',
    }).connect()
    await database.collection('posts').createIndex({ n: 1 }, { unique: true })
  })

  beforeEach(async () => {
    await database.collection('posts').deleteMany({})
  })

  afterAll(async () => {
    await database.database.dropDatabase()
    await database.close()
  })

  it('finds what it stored, by filter, in order and limited', async () => {
    await database.insertMany('posts', [{ n: 1 }, { n: 2 }, { n: 3 }])
    const found = await database.find<Post>(
      'posts',
      { n: { $gt: 1 } },
      { sort: { n: -1 }, limit: 1 },
    )
    expect(found.map(({ n }) => n)).toEqual([3])
    expect(await database.findOne<Post>('posts', { n: 2 })).toMatchObject({ n: 2 })
    expect(await database.findOne<Post>('posts', { n: 9 })).toBeUndefined()
  })

  it('says how many documents an update met and changed', async () => {
    await database.insertMany('posts', [{ n: 1, tag: 'a' }])
    const update = { $set: { tag: 'b' } }
    expect(await database.updateOne('posts', { n: 1 }, update)).toEqual({ matched: 1, modified: 1 })
    expect(await database.updateOne('posts', { n: 1 }, update)).toEqual({ matched: 1, modified: 0 })
    expect(await database.updateOne('posts', { n: 2 }, update)).toEqual({ matched: 0, modified: 0 })
  })

  it('gives what a pipeline makes of the documents', async () => {
    await database.insertMany('posts', [{ n: 1 }, { n: 2 }, { n: 3 }])
    const pipeline = [{ $group: { _id: null, total: { $sum: '$n' } } }]
    expect(await database.aggregate('posts', pipeline)).toEqual([{ _id: null, total: 6 }])
  })

  it('stores documents of an async source in batches, with progress', async () => {
    async function* source(): AsyncGenerator<Document> {
      for (let n = 0; n < 2_500; n++) yield { n }
    }
    const progress: number[] = []
    const result = await database.insertMany('posts', source(), {
      batchSize: 1_000,
      maxInFlight: 1,
      onProgress: ({ inserted }) => progress.push(inserted),
    })
    expect(result).toEqual({ inserted: 2_500, failed: [], skippedFrom: undefined })
    expect(progress).toEqual([1_000, 2_000, 2_500])
    expect(await database.collection('posts').countDocuments()).toBe(2_500)
  })

  it('splits batches by bytes too', async () => {
    const progress: number[] = []
    const body = 'x'.repeat(1_000)
    await database.insertMany(
      'posts',
      [1, 2, 3, 4, 5].map((n) => ({ n, body })),
      {
        maxBatchBytes: 2_200,
        maxInFlight: 1,
        onProgress: ({ documents }) => progress.push(documents),
      },
    )
    expect(progress).toEqual([2, 4, 5])
  })

  it('does not change the documents given', async () => {
    const document = { n: 1 }
    await database.insertMany('posts', [document])
    expect(Object.keys(document)).toEqual(['n'])
  })

  it('stores all but the failures and says which those are', async () => {
    const documents = [1, 2, 2, 3, 1, 4].map((n) => ({ n }))
    const result = await database.insertMany('posts', documents, { batchSize: 2, maxInFlight: 1 })
    expect(result.inserted).toBe(4)
    expect(result.failed.map(({ index, serverCode }) => [index, serverCode])).toEqual([
      [2, 11_000],
      [4, 11_000],
    ])
  })

  it('stops at the first failure when order matters', async () => {
    const documents = [1, 2, 2, 3, 4].map((n) => ({ n }))
    const result = await database.insertMany('posts', documents, { ordered: true, batchSize: 2 })
    expect(result).toMatchObject({ inserted: 2, failed: [{ index: 2 }], skippedFrom: 3 })
    expect(await database.collection('posts').countDocuments()).toBe(2)
  })

  it('reports a document that cannot be stored and stores the others', async () => {
    const circular: Document = { n: 2 }
    circular['self'] = circular
    const huge = { n: 3, body: 'x'.repeat(17 * 1024 * 1024) }
    const result = await database.insertMany('posts', [{ n: 1 }, circular, huge, { n: 4 }])
    expect(result.inserted).toBe(2)
    expect(result.failed.map(({ index }) => index)).toEqual([1, 2])
    expect(result.failed[1]?.reason).toContain('the limit is 16777216')
  })

  it.each([false, true])(
    'finds one among many that cannot be stored, ordered: %s',
    async (ordered) => {
      const huge = { n: 37, body: 'x'.repeat(17 * 1024 * 1024) }
      const documents: Document[] = Array.from({ length: 60 }, (_, n) => (n === 37 ? huge : { n }))
      const result = await database.insertMany('posts', documents, { ordered })
      expect(result.failed.map(({ index, serverCode }) => [index, serverCode])).toEqual([
        [37, undefined],
      ])
      expect(result.inserted).toBe(ordered ? 37 : 59)
      expect(result.skippedFrom).toBe(ordered ? 38 : undefined)
    },
  )

  it('ends between batches when its signal aborts', async () => {
    const abort = new AbortController()
    const documents = Array.from({ length: 100 }, (_, n) => ({ n }))
    const inserting = database.insertMany('posts', documents, {
      batchSize: 10,
      maxInFlight: 1,
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('enough')),
    })
    await expect(inserting).rejects.toThrow('enough')
    expect(await database.collection('posts').countDocuments()).toBe(10)
  })

  it('names the server’s reason without quoting values', async () => {
    const failing = database.find('posts', { $nonsense: 'hunter2' })
    await expect(failing).rejects.toBeInstanceOf(MongoOperationError)
    await expect(failing).rejects.toMatchObject({ serverCode: 2 })
    await expect(failing).rejects.not.toThrow(/hunter2/)
  })
})
