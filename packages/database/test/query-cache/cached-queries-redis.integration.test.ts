import { createCache, v8Codec, type Cache } from '@dharma/cache'
import { PostgresManager } from '@dharma/database/postgres'
import { CachedQueries } from '@dharma/database/query-cache'
import { uniqueName } from '@dharma/testkit'
import { describeWith } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'

/** One process of a service: a manager, a cache in front of Redis, and the queries cached in it. */
interface Process {
  readonly database: PostgresManager
  readonly cache: Cache
  readonly queries: CachedQueries
}

describeWith('postgres', 'redis')('CachedQueries of two processes with one Redis', () => {
  const namespace = uniqueName('queries')
  const table = uniqueName('shared')
  const ttl = { ttlMs: 60_000 }
  let first: Process
  let second: Process

  function start(): Process {
    const database = new PostgresManager({ url: inject('postgresUrl'), pool: { max: 2 } })
    const cache = createCache({ namespace, redis: inject('redisUrl'), codec: v8Codec })
    return { database, cache, queries: new CachedQueries(database, cache) }
  }

  beforeAll(async () => {
    first = start()
    second = start()
    await first.database.query(
      `create table ${table} (id int primary key, at timestamptz, bytes bytea, tags text[])`,
    )
    await first.database.query(
      `insert into ${table} values (1, '2026-01-02T03:04:05Z', '\\x0001', '{a,b}')`,
    )
  })

  afterAll(async () => {
    await first.database.query(`drop table ${table}`)
    for (const { queries, cache, database } of [first, second]) {
      await queries.close()
      await cache.close()
      await database.close()
    }
  })

  it('one takes what the other has read, dates, bytes and arrays as the driver gives them', async () => {
    const text = `select * from ${table} where id = $1`
    const read = await first.queries.query(text, [1], ttl)
    const taken = await second.queries.query<{ at: Date; bytes: Uint8Array }>(text, [1], ttl)
    expect(second.queries.stats()).toMatchObject({ reads: 1, loads: 0 })
    expect(taken).toEqual(read)
    expect(taken.rows[0]?.at).toEqual(new Date('2026-01-02T03:04:05Z'))
    expect([...(taken.rows[0]?.bytes ?? [])]).toEqual([0, 1])
  })

  it('one sees what the other has written, at once in its own process, soon in the other', async () => {
    const text = `select tags from ${table} where id = 1`
    const tags = async ({ queries }: Process): Promise<unknown> =>
      (await queries.query(text, [], ttl)).rows
    await tags(first)
    expect(await tags(second)).toEqual([{ tags: ['a', 'b'] }])
    await second.database.transaction((transaction) =>
      transaction.query(`update ${table} set tags = '{c}' where id = 1`),
    )
    expect(await tags(second)).toEqual([{ tags: ['c'] }])
    await expect.poll(() => tags(first)).toEqual([{ tags: ['c'] }])
  })
})
