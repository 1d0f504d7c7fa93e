import { createCache, type Cache } from '@dharma/cache'
import { PostgresManager } from '@dharma/database/postgres'
import { CachedQueries, installChangeTriggers } from '@dharma/database/query-cache'
import {
  startFaultProxy,
  startPostgres,
  startPostgresWithReplica,
  startRedis,
  type TestServer,
} from '@dharma/testkit'
import { describeWith, describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'

const ttl = { ttlMs: 60_000 }

describeWithPostgres.each([15, 18])('CachedQueries under faults, PostgreSQL %i', (version) => {
  let server: TestServer
  let database: PostgresManager
  let cache: Cache
  let queries: CachedQueries

  beforeAll(async () => {
    server = await startPostgres({ version })
  })

  afterAll(async () => {
    await server.close()
  })

  beforeEach(async () => {
    database = await new PostgresManager({ url: server.url, pool: { max: 3 } }).connect()
    await database.query('create table if not exists posts (id int primary key, title text)')
    await database.query('truncate posts')
    await database.query(`insert into posts values (1, 'old')`)
    cache = createCache({ namespace: 'faults' })
    queries = new CachedQueries(database, cache)
  })

  afterEach(async () => {
    await queries.close()
    await cache.close()
    await database.close()
  })

  const text = 'select title from posts where id = 1'
  const isLoaded = async (): Promise<boolean> => {
    const { loads } = queries.stats()
    await queries.query(text, [], ttl)
    return queries.stats().loads > loads
  }

  it('drops what a transaction wrote whose COMMIT was not answered', async () => {
    const definitions = [
      `create or replace function wait_at_commit() returns trigger language plpgsql as
       $$ begin perform pg_advisory_xact_lock(4712); return null; end $$`,
      `create constraint trigger wait_at_commit after update on posts deferrable initially deferred
       for each row execute function wait_at_commit()`,
    ]
    for (const definition of definitions) await database.query(definition)
    await isLoaded()
    expect(await isLoaded()).toBe(false)
    const { invalidations } = queries.stats()
    await using holder = new PostgresManager({ url: server.url, pool: { max: 1 } })
    await holder.transaction(async (transaction) => {
      await transaction.query('select pg_advisory_xact_lock(4712)')
      // The COMMIT waits in the server until its backend is ended.
      const committing = database.transaction((own) =>
        own.query(`update posts set title = 'new' where id = 1`),
      )
      const refused = committing.catch((error: unknown) => error)
      const end = `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 4712 and not granted`
      await vi.waitUntil(async () => (await transaction.query(end)).rows.length > 0)
      expect(await refused).toBeInstanceOf(Error)
    })
    expect(queries.stats().invalidations).toBe(invalidations + 1)
    expect(await isLoaded()).toBe(true)
    await database.query('drop trigger wait_at_commit on posts')
  })

  it('drops what a transaction wrote whose COMMIT was carried out, and the answer lost', async () => {
    const definitions = [
      `create or replace function answer_later() returns trigger language plpgsql as
       $$ begin perform pg_advisory_xact_lock(4713); return null; end $$`,
      `create constraint trigger answer_later after update on posts deferrable initially deferred
       for each row execute function answer_later()`,
    ]
    for (const definition of definitions) await database.query(definition)
    await using proxy = await startFaultProxy(server)
    await using behind = new PostgresManager({ url: proxy.urlOf(server), pool: { max: 2 } })
    await using watching = new CachedQueries(behind, cache)
    const rows = async (): Promise<unknown[]> => (await watching.query(text, [], ttl)).rows
    expect(await rows()).toEqual([{ title: 'old' }])
    const committed = await database.transaction(async (holder) => {
      await holder.query('select pg_advisory_xact_lock(4713)')
      const committing = behind.transaction((own) =>
        own.query(`update posts set title = 'new' where id = 1`),
      )
      const refused = committing.catch((error: unknown) => error)
      const waiting = `select 1 from pg_locks where locktype = 'advisory' and objid = 4713 and not granted`
      await vi.waitUntil(async () => (await holder.query(waiting)).rows.length > 0)
      // The server has the COMMIT; what it answers goes nowhere.
      proxy.blackHole()
      return { refused }
    })
    await expect
      .poll(async () => (await database.query(text)).rows, { timeout: 10_000 })
      .toEqual([{ title: 'new' }])
    await proxy.heal()
    proxy.reset()
    expect(await committed.refused).toBeInstanceOf(Error)
    expect(watching.stats().invalidations).toBe(1)
    expect(await rows()).toEqual([{ title: 'new' }])
    await database.query('drop trigger answer_later on posts')
  })

  it('drops what others wrote while the listening connection was lost', async () => {
    await installChangeTriggers(database, ['posts'])
    await using outsider = new PostgresManager({ url: server.url, pool: { max: 1 } })
    await queries.followChanges()
    await isLoaded()
    // Ended and written in one go: the notification finds nobody who listens.
    await outsider.transaction(async (transaction) => {
      await transaction.query(`update posts set title = 'unheard' where id = 1`)
      await transaction.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen "dharma_changes"%'`,
      )
    })
    await expect
      .poll(async () => (await queries.query(text, [], ttl)).rows)
      .toEqual([{ title: 'unheard' }])
  })
})

describeWith('postgres', 'redis')('CachedQueries whose Redis goes away', () => {
  it('answers right while it is away and when it is back', async () => {
    await using server = await startPostgres()
    await using redis = await startRedis({ dedicated: true })
    await using database = await new PostgresManager({ url: server.url }).connect()
    await database.query('create table away (id int primary key, n int)')
    await database.query('insert into away values (1, 0)')
    const errors: unknown[] = []
    const cache = createCache({ namespace: 'away', redis: redis.url, timeoutMs: 100 })
    const queries = new CachedQueries(database, cache, { onError: (error) => errors.push(error) })
    const read = async (): Promise<unknown> =>
      (await queries.query('select n from away where id = 1', [], ttl)).rows
    const write = (n: number): Promise<unknown> =>
      database.query('update away set n = $1 where id = 1', [n])
    expect(await read()).toEqual([{ n: 0 }])
    await redis.kill()
    for (let n = 1; n <= 5; n++) {
      await write(n)
      expect(await read()).toEqual([{ n }])
    }
    await redis.restart()
    for (let n = 6; n <= 10; n++) {
      await write(n)
      expect(await read()).toEqual([{ n }])
    }
    await queries.close()
    await cache.close()
    await database.query('drop table away')
  })
})

describeWithPostgres('CachedQueries of a manager with a replica', () => {
  it('reads from the primary, also for who asks for a replica', async () => {
    await using servers = await startPostgresWithReplica()
    await using database = await new PostgresManager({
      url: servers.primary.url,
      replicas: [servers.replica.url],
      roleCheckMs: 50,
    }).connect()
    await database.query('create table posts (id int primary key, title text)')
    await servers.caughtUp()
    const lagOf = (): unknown => database.stats().endpoints.find(({ role }) => role === 'replica')
    await vi.waitUntil(() => lagOf() !== undefined)
    const cache = createCache({ namespace: 'replica' })
    await using queries = new CachedQueries(database, cache, { onRefused: 'bypass' })
    const options = { ...ttl, replica: true }
    for (const text of ['select pg_is_in_recovery() as x', 'select false as x from posts']) {
      await queries.query(text, [], options)
    }
    expect(database.stats().endpoints.find(({ role }) => role === 'replica')?.reads).toBe(0)
    await cache.close()
  })
})
