import {
  MongoManager,
  type BulkWriteReport,
  type MongoConnectionError,
} from '@dharma/database/mongodb'
import type { TestServer } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import type { AnyBulkWriteOperation, Document } from 'mongodb'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { startFailingMongo, whileFailing, type CommandFailure } from './fail-command.ts'

const idOf = (n: number): never => n as never

describeWithMongo('writes while the connection fails', () => {
  let server: TestServer
  let database: MongoManager

  beforeAll(async () => {
    server = await startFailingMongo()
    database = await new MongoManager({
      url: server.url,
      database: 'failing_writes',
      applicationName: 'failing',
      coalesceInserts: true,
    }).connect()
    await database.database.createCollection('posts')
  })

  function failing<R>(
    commands: readonly string[],
    times: number,
    work: () => Promise<R>,
    how?: CommandFailure['how'],
  ): Promise<R> {
    const failure = how === undefined ? { commands, times } : { commands, times, how }
    return whileFailing(server, failure, work)
  }

  beforeEach(async () => {
    await database.deleteMany('posts', {})
  })

  afterAll(async () => {
    await database.close()
    await server.close()
  })

  it('sends again what may be done twice', async () => {
    await database.insertMany('posts', [{ _id: 1 }, { _id: 2 }])
    // The driver itself sends a command twice.
    const report = await failing(['update', 'insert', 'delete'], 6, () =>
      database.bulkWrite(
        'posts',
        [
          { updateOne: { filter: { _id: idOf(1) }, update: { $set: { x: 1 } } } },
          { replaceOne: { filter: { _id: idOf(2) }, replacement: { y: 1 } } },
          { insertOne: { document: { n: 3 } } },
          { deleteOne: { filter: { _id: idOf(2) } } },
        ],
        { maxAttempts: 10 },
      ),
    )
    expect(report).toMatchObject({ inserted: 1, modified: 2, deleted: 1, failed: [] })
  })

  it('names the operations of which nobody can say whether they were carried out', async () => {
    await database.insertMany('posts', [{ _id: 1, n: 0 }])
    const operations: AnyBulkWriteOperation[] = [
      { insertOne: { document: { n: 1 } } },
      { updateOne: { filter: { _id: idOf(1) }, update: { $inc: { n: 1 } } } },
      { updateOne: { filter: { n: 1 }, update: { $set: { n: 2 } } } },
      { deleteMany: { filter: {} } },
    ]
    const error = await failing(['update'], Infinity, () => {
      return database.bulkWrite('posts', operations).catch((thrown: unknown) => thrown)
    })
    expect(error).toMatchObject({ code: 'DHARMA_MONGO_CONNECTION' })
    expect((error as MongoConnectionError).unclear).toEqual([1, 2])
    expect(await database.countDocuments('posts')).toBe(2)
  })

  it('sends nothing again within a transaction, which runs again as a whole', async () => {
    let runs = 0
    await failing(['insert'], 2, () =>
      database.transaction(async (session) => {
        runs += 1
        await database.insertMany('posts', [{ n: 1 }], { session })
        await database.bulkWrite('posts', [{ insertOne: { document: { n: 2 } } }], { session })
      }),
    )
    expect(runs).toBe(3)
    expect(await database.countDocuments('posts')).toBe(2)
  })

  it('keeps the given order where a regrouped batch could not be committed', async () => {
    const codes = { errorCode: 251, errorLabels: ['TransientTransactionError'] }
    const operations: AnyBulkWriteOperation[] = [1, 2, 3].flatMap((n) => [
      { insertOne: { document: { _id: idOf(n) } } },
      { updateOne: { filter: { _id: idOf(n) }, update: { $set: { n } } } },
    ])
    const write = (): Promise<BulkWriteReport> =>
      database.bulkWrite('posts', operations, { regroup: true })
    const report = await failing(['commitTransaction'], 1, write, codes)
    expect(report).toMatchObject({ inserted: 3, modified: 3, failed: [] })
  })

  it('does not say of a regrouped batch what nobody knows', async () => {
    const operations: AnyBulkWriteOperation[] = [1, 2].flatMap((n) => [
      { insertOne: { document: { _id: idOf(n) } } },
      { updateOne: { filter: { _id: idOf(n) }, update: { $set: { n } } } },
    ])
    const writing = failing(['commitTransaction'], Infinity, () =>
      database.bulkWrite('posts', operations, { regroup: true }),
    )
    await expect(writing).rejects.toMatchObject({ code: 'DHARMA_MONGO_CONNECTION' })
  })

  it('commits again where the commit was not answered', async () => {
    await failing(['commitTransaction'], 3, () =>
      database.transaction((session) => database.insertOne('posts', { n: 1 }, { session })),
    )
    expect(await database.countDocuments('posts')).toBe(1)
  })

  it('says that a commit is unclear where it is not answered by the deadline', async () => {
    const outcomes: string[] = []
    const observing = database.observe({
      async onTransactionEnd(_session, outcome) {
        outcomes.push(outcome)
      },
    })
    const transact = async (): Promise<void> => {
      const work = database.transaction(
        (session) => database.insertOne('posts', { n: 1 }, { session }),
        { timeoutMs: 400 },
      )
      await expect(work).rejects.toMatchObject({ code: 'DHARMA_MONGO_COMMIT_UNCLEAR' })
    }
    await failing(['commitTransaction'], Infinity, transact)
    const slow = { blockConnection: true, blockTimeMS: 700 }
    await failing(['commitTransaction'], Infinity, transact, slow)
    observing[Symbol.dispose]()
    expect(outcomes).toEqual(['unclear', 'unclear'])
  })

  it('passes on why a commit was refused', async () => {
    const transact = (): Promise<unknown> => {
      return database.transaction((session) => database.insertOne('posts', { n: 1 }, { session }))
    }
    const work = failing(['commitTransaction'], 1, transact, { errorCode: 2 })
    await expect(work).rejects.toMatchObject({ code: 'DHARMA_MONGO_OPERATION', serverCode: 2 })
  })

  it('tells each of the inserts sent together that the connection failed', async () => {
    const settled = await failing(['insert'], Infinity, () => {
      return Promise.allSettled([1, 2, 3].map((n) => database.insertOne('posts', { n })))
    })
    for (const outcome of settled) {
      expect(outcome).toMatchObject({ reason: { code: 'DHARMA_MONGO_CONNECTION' } })
    }
  })

  it('stores each document once although the primary steps down meanwhile', async () => {
    let n = 0
    async function* source(): AsyncGenerator<Document> {
      for (; n < 3_000; n++) {
        if (n === 1_000) await stepDown(database)
        yield { n }
      }
    }
    const options = { batchSize: 100, maxAttempts: 20 }
    const result = await database.insertMany('posts', source(), options)
    expect(result).toMatchObject({ inserted: 3_000, failed: [] })
    expect(await database.countDocuments('posts')).toBe(3_000)
  })

  it('goes on with single writes and reads after the primary stepped down', async () => {
    await stepDown(database)
    await database.insertOne('posts', { n: 1 })
    expect(await database.countDocuments('posts')).toBe(1)
  })
})

/** The only member goes back to being a secondary, and is elected again a second later. */
async function stepDown(database: MongoManager): Promise<void> {
  const admin = database.database.client.db('admin')
  await admin.command({ replSetStepDown: 1, force: true, secondaryCatchUpPeriodSecs: 0 })
}
