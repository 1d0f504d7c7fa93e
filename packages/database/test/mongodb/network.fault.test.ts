import {
  MemoryChangeTokens,
  MongoManager,
  type MongoChangeGapError,
} from '@dharma/database/mongodb'
import { startFaultProxy, type FaultProxy, type TestServer } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { startFailingMongo, whileFailing } from './fail-command.ts'

/** What a caller hears whose deadline is over, or for whom nobody is there. */
const NOBODY = /^DHARMA_(?:TIMEOUT|MONGO_CONNECTION)$/

describeWithMongo('a manager behind a bad network', () => {
  let server: TestServer
  let proxy: FaultProxy
  let database: MongoManager

  beforeAll(async () => {
    server = await startFailingMongo()
  })

  beforeEach(async () => {
    proxy = await startFaultProxy(server)
    database = await new MongoManager({
      url: proxy.urlOf(server),
      database: 'bad_network',
      serverSelectionTimeoutMs: 500,
      silenceTimeoutMs: 5_000,
      operationTimeoutMs: 1_000,
    }).connect()
    await database.deleteMany('posts', {})
    await database.insertMany(
      'posts',
      Array.from({ length: 50 }, (_, n) => ({ n })),
    )
  })

  afterEach(async () => {
    await database.close()
    await proxy.close()
  })

  afterAll(async () => {
    await server.close()
  })

  /** The codes of the errors of one call of each kind. */
  async function callAll(): Promise<unknown[]> {
    const outcomes = await Promise.allSettled([
      database.find('posts'),
      database.findOne('posts', { n: 1 }),
      database.aggregate('posts', [{ $match: { n: 1 } }]),
      database.countDocuments('posts'),
      database.distinct('posts', 'n'),
      Array.fromAsync(database.stream('posts')),
      database.insertOne('posts', { n: 99 }),
      database.updateMany('posts', { n: 99 }, { $set: { x: 1 } }),
      database.deleteMany('posts', { n: 99 }),
      database.insertMany('posts', [{ n: 98 }], { timeoutMs: 1_000 }),
      database.bulkWrite('posts', [{ insertOne: { document: { n: 97 } } }], { timeoutMs: 1_000 }),
      database.bulkUpsert('posts', [{ n: 96 }], { key: 'n', timeoutMs: 1_000 }),
      database.transaction((session) => database.findOne('posts', {}, { session })),
      database.ping(),
    ])
    return outcomes.map((one): unknown => {
      return one.status === 'rejected' ? (one.reason as { code?: unknown }).code : 'served'
    })
  }

  async function expectServing(): Promise<void> {
    const ping = (): Promise<string> => {
      return database.ping().then(
        () => 'serves',
        (error: unknown) => String(error),
      )
    }
    await expect.poll(ping, { timeout: 20_000 }).toBe('serves')
  }

  it('answers every caller by its deadline while nothing comes through, and then recovers', async () => {
    proxy.blackHole()
    const startedMs = performance.now()
    const codes = await callAll()
    expect(performance.now() - startedMs).toBeLessThan(4_000)
    for (const code of codes) expect(code).toMatch(NOBODY)
    await proxy.heal()
    await expectServing()
    expect(await database.find('posts', { n: { $lt: 50 } })).toHaveLength(50)
  })

  it('says that nobody can be reached, and serves when somebody can', async () => {
    await proxy.refuse()
    for (const code of await callAll()) expect(code).toMatch(NOBODY)
    await proxy.heal()
    await expectServing()
  })

  it('serves on over new connections when all are cut', async () => {
    proxy.cut()
    expect(await database.find('posts')).toHaveLength(50)
    proxy.reset()
    expect(await database.find('posts')).toHaveLength(50)
  })

  it('keeps its deadlines on a slow way, and finishes what has time', async () => {
    const body = 'x'.repeat(20_000)
    proxy.throttle(100_000)
    const documents = Array.from({ length: 10 }, (_, n) => ({ n: 100 + n, body }))
    const short = database.insertMany('posts', documents, { timeoutMs: 300 })
    await expect(short).rejects.toMatchObject({ code: 'DHARMA_TIMEOUT' })
    const long = database.insertMany(
      'posts',
      documents.map((one) => ({ ...one, late: true })),
    )
    expect(await long).toMatchObject({ inserted: 10 })
    await proxy.heal()
    expect(await database.countDocuments('posts', { late: true })).toBe(10)
  })

  it('ends a stream whose cursor died with its connection, and says so', async () => {
    const read = async (): Promise<number> => {
      let seen = 0
      for await (const document of database.stream('posts', {}, { batchSize: 10 })) {
        expect(document).toHaveProperty('n')
        if (++seen === 10) await proxy.refuse()
      }
      return seen
    }
    await expect(read()).rejects.toMatchObject({ code: 'DHARMA_MONGO_CONNECTION' })
    await proxy.heal()
  })

  it('goes on with a change feed after its connection was lost, without a gap', async () => {
    const lost: string[] = []
    const direct = await new MongoManager({ url: server.url, database: 'bad_network' }).connect()
    const tokens = new MemoryChangeTokens()
    const onReconnect = ({ code }: { code: string }): void => {
      lost.push(code)
      // The first says that the connection was lost, the second that an attempt met a closed door.
      if (lost.length === 2) void proxy.heal()
    }
    await using feed = await database.watch('posts', { tokens, onReconnect })
    const seen: number[] = []
    await direct.insertOne('posts', { n: 1_000 })
    for await (const change of feed) {
      if (change.operationType !== 'insert') continue
      const n = change.fullDocument['n'] as number
      seen.push(n)
      if (n === 1_000) {
        await proxy.refuse()
        await direct.insertOne('posts', { n: 1_001 })
      }
      if (n === 1_001) break
    }
    await direct.close()
    expect(seen).toEqual([1_000, 1_001])
    expect(lost.length).toBeGreaterThan(1)
    expect(new Set(lost)).toEqual(new Set(['DHARMA_MONGO_CONNECTION']))
  })

  it('tells of changes that the server has no more, and goes on from now where that is wanted', async () => {
    const direct = await new MongoManager({
      url: server.url,
      database: 'bad_network',
      applicationName: 'failing',
    }).connect()
    const lost = { errorCode: 286, errorLabels: ['NonResumableChangeStreamError'] }
    await whileFailing(server, { commands: ['aggregate'], times: 1, how: lost }, async () => {
      await expect(direct.watch('posts')).rejects.toMatchObject({ code: 'DHARMA_MONGO_CHANGE_GAP' })
    })
    const gaps: MongoChangeGapError[] = []
    const onGap = (gap: MongoChangeGapError): void => void gaps.push(gap)
    await using feed = await direct.watch('posts', { onGap })
    const reading = (async (): Promise<unknown> => {
      for await (const change of feed) return change.operationType
      return undefined
    })()
    await whileFailing(server, { commands: ['getMore'], times: 1, how: lost }, async () => {
      await expect.poll(() => gaps.length, { timeout: 10_000 }).toBe(1)
    })
    await expect
      .poll(
        async () => {
          await direct.insertOne('posts', { n: 5_000 })
          return Promise.race([reading, Promise.resolve('waiting')])
        },
        { timeout: 10_000 },
      )
      .toBe('insert')
    await direct.close()
  })
})
