import { PostgresManager } from '@dharma/database/postgres'
import { describe, expect, it } from 'vitest'

const url = 'postgres://user:hunter2@127.0.0.1:1/db'

describe('PostgresManager', () => {
  it.each([
    ['queryTimeoutMs', { queryTimeoutMs: 0 }],
    ['connectTimeoutMs', { connectTimeoutMs: -1 }],
    ['maxReplicaLagMs', { maxReplicaLagMs: 0 }],
    ['roleCheckMs', { roleCheckMs: 0 }],
    ['outageWaitMs', { outageWaitMs: -1 }],
    ['maxStatements', { maxStatements: 1.5 }],
    ['pipeline.maxConnections', { pipeline: { maxConnections: 5 } }],
    ['max', { pool: { max: 0 } }],
    ['min', { pool: { min: 3, max: 2 } }],
  ])('names the option %s when it is out of range', (option, options) => {
    expect(() => new PostgresManager({ url, ...options })).toThrow(RangeError)
    expect(() => new PostgresManager({ url, ...options })).toThrow(option)
  })

  it('refuses a URL of another protocol without showing it', () => {
    expect(() => new PostgresManager({ url: 'mysql://u:hunter2@h/d' })).toThrow(TypeError)
    expect(() => new PostgresManager({ url: 'mysql://u:hunter2@h/d' })).not.toThrow(/hunter2/)
  })

  it('says at connect, without the password, that nobody answers', async () => {
    await using database = new PostgresManager({ url })
    const error = await database.connect().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'DHARMA_POOL_CREATE_FAILED' })
    expect(error).toMatchObject({ cause: { code: 'DHARMA_POSTGRES_CONNECTION' } })
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2')
  })

  it('answers in time when no connection can be had', async () => {
    await using database = new PostgresManager({ url })
    await expect(database.query('select 1', [], { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'DHARMA_POSTGRES_UNAVAILABLE',
      server: '127.0.0.1:1',
      cause: { code: 'DHARMA_POSTGRES_CONNECTION' },
    })
  })

  it('waits for a server no longer than outageWaitMs, however late the deadline', async () => {
    await using database = new PostgresManager({ url, outageWaitMs: 100 })
    await expect(database.query('select 1', [], { timeoutMs: 60_000 })).rejects.toMatchObject({
      code: 'DHARMA_POSTGRES_UNAVAILABLE',
      server: '127.0.0.1:1',
    })
  })
})
