import { MongoManager } from '@dharma/database/mongodb'
import { startMongo, type TestServer } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'

describeWithMongo('MongoManager', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startMongo({ dedicated: true })
  })

  afterAll(async () => {
    await server.close()
  })

  it('stores every document exactly once although the server is killed in between', async () => {
    await using database = await new MongoManager({
      url: server.url,
      database: 'killed',
      serverSelectionTimeoutMs: 30_000,
    }).connect()
    let revival: Promise<void> | undefined
    async function* source(): AsyncGenerator<{ n: number }> {
      for (let n = 0; n < 5_000; n++) {
        if (n === 2_500) {
          await server.kill()
          revival = server.restart()
        }
        yield { n }
      }
    }
    const result = await database.insertMany('posts', source(), { batchSize: 100, maxAttempts: 10 })
    await revival
    expect(result).toEqual({ inserted: 5_000, failed: [], skippedFrom: undefined })
    expect(await database.collection('posts').countDocuments()).toBe(5_000)
    expect(await database.collection('posts').distinct('n')).toHaveLength(5_000)
  })

  it('answers by its deadline while the server hangs, and serves when it goes on', async () => {
    await using database = await new MongoManager({
      url: server.url,
      database: 'hung',
      serverSelectionTimeoutMs: 2_000,
      silenceTimeoutMs: 500,
    }).connect()
    await server.stop()
    await expect(database.find('posts')).rejects.toMatchObject({ code: 'DHARMA_MONGO_CONNECTION' })
    await server.cont()
    expect(await database.find('posts')).toEqual([])
  })
})
