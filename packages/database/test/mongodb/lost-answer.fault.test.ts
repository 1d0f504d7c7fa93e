import { MongoManager } from '@dharma/database/mongodb'
import type { TestServer } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { startFailingMongo } from './fail-command.ts'
import { startMessageProxy, type MessageFate, type MessageProxy } from './message-proxy.ts'

const idOf = (n: number): never => n as never

/** More than the system takes from a socket at once, so that a message waits half sent. */
const BODY = 'x'.repeat(8 * 1024 * 1024)

describeWithMongo('a large write whose connection breaks', () => {
  let server: TestServer
  let direct: MongoManager
  let proxy: MessageProxy
  let database: MongoManager
  let coalescing: MongoManager

  beforeAll(async () => {
    server = await startFailingMongo()
    direct = await new MongoManager({ url: server.url, database: 'lost_answers' }).connect()
  })

  beforeEach(async () => {
    await direct.deleteMany('posts', {})
    await direct.insertMany('posts', [{ _id: 1, n: 0 }])
    proxy = await startMessageProxy(server)
    const url = server.urlThrough(proxy)
    database = await new MongoManager({ url, database: 'lost_answers' }).connect()
    const options = { url, database: 'lost_answers', coalesceInserts: true }
    coalescing = await new MongoManager(options).connect()
    // The driver tells of it in the turn in which it writes.
    for (const one of [database, coalescing]) {
      one.database.client.on('connectionCheckedOut', () => proxy.beforeMessage())
    }
  })

  afterEach(async () => {
    await database.close()
    await coalescing.close()
    await proxy.close()
  })

  afterAll(async () => {
    await direct.close()
    await server.close()
  })

  async function countOfOne(): Promise<unknown> {
    return (await direct.findOne('posts', { _id: idOf(1) }))?.['n']
  }

  const increment = { $inc: { n: 1 }, $set: { body: BODY } }

  const writes: Record<string, () => Promise<unknown>> = {
    updateOne: () => database.updateOne('posts', { _id: idOf(1) }, increment),
    findOneAndUpdate: () => database.findOneAndUpdate('posts', { _id: idOf(1) }, increment),
    bulkWrite: () => {
      const operation = { updateOne: { filter: { _id: idOf(1) }, update: increment } }
      return database.bulkWrite('posts', [operation])
    },
  }

  /** What may be done twice is sent again until it is answered; each gives what failed. */
  const repeated: Record<string, () => Promise<unknown>> = {
    insertOne: () => database.insertOne('posts', { body: BODY }).then(() => []),
    'insertOne, sent together': () => {
      return coalescing.insertOne('posts', { body: BODY }).then(() => [])
    },
    insertMany: () => database.insertMany('posts', [{ body: BODY }]).then(({ failed }) => failed),
    'bulkWrite of an insert': async () => {
      const operation = { insertOne: { document: { body: BODY } } }
      return (await database.bulkWrite('posts', [operation])).failed
    },
    'bulkWrite of a value': async () => {
      const operation = {
        updateOne: { filter: { _id: idOf(1) }, update: { $set: { body: BODY } } },
      }
      return (await database.bulkWrite('posts', [operation])).failed
    },
  }

  for (const [name, write] of Object.entries(repeated)) {
    it.each<{ plan: MessageFate[] }>([
      { plan: ['half sent'] },
      { plan: ['unsent'] },
      { plan: ['unanswered', 'half sent'] },
      { plan: ['unanswered', 'unsent'] },
    ])(
      `is carried out once by ${name} where it is $plan`,
      async ({ plan }) => {
        proxy.plan(plan)
        expect(await write()).toEqual([])
        expect(proxy.met).toEqual(plan)
        expect(await direct.countDocuments('posts', { body: { $exists: true } })).toBe(1)
      },
      30_000,
    )
  }

  const fates: Record<string, { plan: MessageFate[]; outcome: string; count: number }> = {
    // The driver sends again what was not answered, and the server knows it by its number.
    'the answer is lost': { plan: ['unanswered'], outcome: 'fulfilled', count: 1 },
    'half of it is sent': { plan: ['half sent'], outcome: 'rejected', count: 0 },
    'the answer is lost, and of the second sending half': {
      plan: ['unanswered', 'half sent'],
      outcome: 'rejected',
      count: 1,
    },
    'it could not be sent': { plan: ['unsent'], outcome: 'rejected', count: 0 },
    'the answer is lost, and it could not be sent again': {
      plan: ['unanswered', 'unsent'],
      outcome: 'rejected',
      count: 1,
    },
  }

  for (const [name, write] of Object.entries(writes)) {
    for (const [what, { plan, outcome, count }] of Object.entries(fates)) {
      it(`is never carried out twice by ${name} where ${what}`, async () => {
        proxy.plan(plan)
        const [settled] = await Promise.allSettled([write()])
        expect(proxy.met).toEqual(plan)
        expect(await countOfOne()).toBe(count)
        expect(settled).toMatchObject(
          outcome === 'fulfilled'
            ? { status: outcome }
            : {
                status: outcome,
                reason: {
                  code: 'DHARMA_MONGO_CONNECTION',
                  unclear: name === 'bulkWrite' ? [0] : [],
                },
              },
        )
      }, 30_000)
    }
  }
})
