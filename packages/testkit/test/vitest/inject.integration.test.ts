import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { Client } from 'pg'
import { describeWithMongo, describeWithPostgres, describeWithRedis } from '@dharma/testkit/vitest'
import { expect, inject, it } from 'vitest'

describeWithRedis('the Redis of the run', () => {
  it('answers at the injected address', async () => {
    const redis = new Redis(inject('redisUrl'))
    expect(await redis.ping()).toBe('PONG')
    await redis.quit()
  })
})

describeWithPostgres('the PostgreSQL of the run', () => {
  it('answers at the injected address', async () => {
    const client = new Client({ connectionString: inject('postgresUrl') })
    await client.connect()
    const { rows } = await client.query('select 1 as one')
    expect(rows).toEqual([{ one: 1 }])
    await client.end()
  })
})

describeWithMongo('the MongoDB of the run', () => {
  it('answers at the injected address, as a replica set', async () => {
    const client = new MongoClient(inject('mongoUrl'))
    const hello = await client.db('admin').command({ hello: 1 })
    expect(hello).toMatchObject({ isWritablePrimary: true, setName: 'testkit' })
    await client.close()
  })
})
