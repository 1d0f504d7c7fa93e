import { MongoManager } from '@dharma/database/mongodb'
import { startMongo } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'

describeWithMongo('insertMany', () => {
  it('names the connection, not the documents, when the server is gone for good', async () => {
    await using server = await startMongo({ dedicated: true })
    await using database = await new MongoManager({
      url: server.url,
      database: 'gone',
      serverSelectionTimeoutMs: 300,
    }).connect()
    await database.insertMany('posts', [{ n: 1 }])
    await server.kill()
    const failing = database.insertMany('posts', [{ n: 2 }, { n: 3 }], { maxAttempts: 2 })
    await expect(failing).rejects.toMatchObject({ code: 'DHARMA_MONGO_CONNECTION' })
  })
})
