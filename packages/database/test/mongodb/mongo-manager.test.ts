import { MongoManager } from '@dharma/database/mongodb'
import { describe, expect, it } from 'vitest'

const url = 'mongodb://user:hunter2@127.0.0.1:1/db'

describe('MongoManager', () => {
  it.each([
    ['pool.max', { pool: { max: 0 } }],
    ['pool.min', { pool: { min: -1 } }],
    ['pool.waitTimeoutMs', { pool: { waitTimeoutMs: 0 } }],
    ['pool.idleTimeoutMs', { pool: { idleTimeoutMs: 10 } }],
    ['silenceTimeoutMs', { silenceTimeoutMs: 1 }],
    ['serverSelectionTimeoutMs', { serverSelectionTimeoutMs: 1 }],
  ])('names the option %s when it is out of range', (option, options) => {
    expect(() => new MongoManager({ url, ...options })).toThrow(RangeError)
    expect(() => new MongoManager({ url, ...options })).toThrow(option)
  })

  it('says at connect, without the password, that nobody answers', async () => {
    await using database = new MongoManager({ url, serverSelectionTimeoutMs: 100 })
    const error = await database.connect().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'DHARMA_MONGO_CONNECTION' })
    expect(String(error)).not.toContain('hunter2')
  })

  it('refuses operations once it is closed', async () => {
    const database = new MongoManager({ url })
    await database.close()
    await expect(database.find('posts')).rejects.toMatchObject({ code: 'DHARMA_CLOSED' })
    expect(() => database.collection('posts')).toThrow('MongoManager is closed')
  })
})
