import { createCache, type Cache } from '@dharma/cache'
import { PostgresManager } from '@dharma/database/postgres'
import {
  CachedQueries,
  installChangeTriggers,
  removeChangeTriggers,
} from '@dharma/database/query-cache'
import { startPostgres, uniqueName, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'

const schema = uniqueName('change_triggers')
const options = { schema }

describeWithPostgres.each([15, 18])('installChangeTriggers, PostgreSQL %i', (version) => {
  let server: TestServer
  let database: PostgresManager
  let outsider: PostgresManager
  let cache: Cache
  let queries: CachedQueries

  const triggers = async (): Promise<number> => {
    const { rows } = await database.query<{ n: number }>(
      `select count(*)::int as n from pg_trigger t join pg_class c on c.oid = t.tgrelid
       where c.relnamespace = $1::regnamespace and t.tgname like 'dharma%'`,
      [schema],
    )
    return rows[0]?.n ?? 0
  }

  /** Resolves when a change by others has made the statement be read anew. */
  const untilDropped = async (text: string, work: () => Promise<unknown>): Promise<void> => {
    await queries.query(text, [], { ttlMs: 60_000 })
    const before = queries.stats().loads
    await work()
    await expect
      .poll(async () => {
        await queries.query(text, [], { ttlMs: 60_000 })
        return queries.stats().loads
      })
      .toBeGreaterThan(before)
  }

  beforeAll(async () => {
    server = await startPostgres({ version })
    const { url } = server
    database = new PostgresManager({ url, pool: { max: 3 } })
    outsider = new PostgresManager({ url, pool: { max: 1 } })
    await database.query(`create schema ${schema}`)
    await database.query(`create table ${schema}."Odd Name" (id int)`)
    await database.query(`create table ${schema}.parts (id int) partition by range (id)`)
    await database.query(
      `create table ${schema}.part partition of ${schema}.parts for values from (0) to (9)`,
    )
    cache = createCache({ namespace: 'triggers' })
    queries = new CachedQueries(database, cache)
  })

  afterAll(async () => {
    await queries.close()
    await cache.close()
    await database.query(`drop schema ${schema} cascade`)
    await Promise.all([database.close(), outsider.close()])
    await server.close()
  })

  const tables = [`${schema}."Odd Name"`, `${schema}.parts`]

  it('puts two triggers on each table and partition, however often it is called', async () => {
    await installChangeTriggers(database, tables, options)
    await installChangeTriggers(database, tables, options)
    expect(await triggers()).toBe(6)
  })

  // oxlint-disable-next-line vitest/expect-expect -- `untilDropped` expects
  it('lets others’ writes be seen, to partitions and by TRUNCATE too', async () => {
    await queries.followChanges()
    await queries.followChanges()
    const odd = `select * from ${schema}."Odd Name"`
    await untilDropped(odd, () => outsider.query(`insert into ${schema}."Odd Name" values (1)`))
    await untilDropped(odd, () => outsider.query(`truncate ${schema}."Odd Name"`))
    await untilDropped(`select * from ${schema}.parts`, () =>
      outsider.query(`insert into ${schema}.part values (1)`),
    )
  })

  it('does not make the tables count as having triggers that write anything', async () => {
    expect(await queries.explainWrite(`delete from ${schema}.parts`)).toEqual({
      kind: 'tables',
      tables: [`${schema}.parts`, `${schema}.part`],
    })
  })

  it('drops what depends on tables with triggers after a gap in listening, and nothing else', async () => {
    const text = `select * from ${schema}."Odd Name"`
    const silent = `select * from ${schema}.silent`
    await database.query(`create table ${schema}.silent (id int)`)
    await queries.query(silent, [], { ttlMs: 60_000 })
    await untilDropped(text, () =>
      outsider.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen "dharma_changes"%'`,
      ),
    )
    const { loads } = queries.stats()
    await queries.query(silent, [], { ttlMs: 60_000 })
    expect(queries.stats().loads).toBe(loads)
  })

  it('goes away without a trace', async () => {
    await removeChangeTriggers(database, tables, options)
    expect(await triggers()).toBe(0)
    const { rows } = await database.query(
      `select from pg_proc where pronamespace = $1::regnamespace`,
      [schema],
    )
    expect(rows).toEqual([])
    await removeChangeTriggers(database, tables, options)
  })

  it('changes nothing where a table is missing, locked, or options are wrong', async () => {
    await expect(
      installChangeTriggers(database, [...tables, 'nowhere'], options),
    ).rejects.toMatchObject({ sqlState: '42P01' })
    await expect(installChangeTriggers(database, tables, { schema: 'nowhere' })).rejects.toThrow(
      'there is no schema nowhere',
    )
    await expect(installChangeTriggers(database, tables, { lockTimeoutMs: 0 })).rejects.toThrow(
      'lockTimeoutMs must be above 0, got 0',
    )
    await outsider.transaction(async (transaction) => {
      await transaction.query(`insert into ${schema}.parts values (2)`)
      await expect(
        installChangeTriggers(database, tables, { ...options, lockTimeoutMs: 50 }),
      ).rejects.toMatchObject({ sqlState: '55P03' })
    })
    expect(await triggers()).toBe(0)
  })
})
