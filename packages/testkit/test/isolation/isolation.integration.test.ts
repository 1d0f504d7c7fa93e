import {
  createMongoDatabase,
  createPostgresDatabase,
  createPostgresSchema,
  keyPrefix,
} from '@dharma/testkit'
import { describeWithMongo, describeWithPostgres } from '@dharma/testkit/vitest'
import { MongoClient } from 'mongodb'
import { Client } from 'pg'
import { describe, expect, inject, it } from 'vitest'

describe('a key prefix', () => {
  it('is new each time', () => {
    expect(keyPrefix()).toMatch(/^test_[0-9a-f]{16}:$/u)
    expect(keyPrefix('cache')).not.toBe(keyPrefix('cache'))
  })
})

describeWithPostgres('a fresh place on a shared PostgreSQL', () => {
  it('is a database that is dropped with its connections', async () => {
    const database = await createPostgresDatabase(inject('postgresUrl'))
    const client = new Client({ connectionString: database.url })
    const broken = new Promise((resolve) => client.on('error', resolve))
    await client.connect()
    const { rows } = await client.query('select current_database() as name')
    expect(rows).toEqual([{ name: database.name }])
    await database.drop()
    await broken
    await database.drop()
    const again = new Client({ connectionString: database.url })
    await expect(again.connect()).rejects.toThrow(/does not exist/u)
  })

  it('is a schema that unqualified names go to', async () => {
    await using schema = await createPostgresSchema(inject('postgresUrl'))
    const client = new Client({ connectionString: schema.url })
    await client.connect()
    await client.query('create table post ()')
    const { rows } = await client.query("select schemaname from pg_tables where tablename = 'post'")
    expect(rows).toEqual([{ schemaname: schema.name }])
    await client.end()
  })
})

describeWithMongo('a fresh database on a shared MongoDB', () => {
  it('is the default of its URL and is dropped', async () => {
    const database = createMongoDatabase(inject('mongoUrl'))
    await using client = new MongoClient(database.url)
    await client.db().collection('posts').insertOne({ id: 1 })
    expect(client.db().databaseName).toBe(database.name)
    await database.drop()
    expect(await client.db().collection('posts').countDocuments()).toBe(0)
  })
})
