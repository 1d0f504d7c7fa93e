import { PostgresManager, PostgresQueryError } from '@dharma/database/postgres'
import { startPostgres, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'

describeWithPostgres('COPY under faults', () => {
  let server: TestServer
  let admin: PostgresManager

  beforeAll(async () => {
    // A limit on temporary files stands for a full disk: the same error, SQLSTATE 53xxx, in the middle.
    server = await startPostgres({ settings: { temp_file_limit: '1MB', work_mem: '64kB' } })
    admin = await new PostgresManager({ url: server.url, applicationName: 'admin' }).connect()
    await admin.query('create table posts (id int, body text)')
  })

  afterAll(async () => {
    await admin.close()
    await server.close()
  })

  async function* endless(): AsyncGenerator<object> {
    for (let id = 0; ; id++) {
      yield { id, body: 'b'.repeat(200) }
      if (id % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async function terminateCopy(): Promise<number> {
    const { rows } = await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name <> 'admin' and query ilike 'copy%' and state = 'active'`,
    )
    return rows.length
  }

  it('settles with a connection error when the connection is killed in COPY in, and works on', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    const copying = database.copyInto('posts', endless())
    const outcome = copying.catch((error: unknown) => error)
    await expect.poll(terminateCopy).toBe(1)
    expect(await outcome).toMatchObject({ code: 'DHARMA_POSTGRES_CONNECTION' })
    expect((await database.query('select count(*)::int as n from posts')).rows).toEqual([{ n: 0 }])
  })

  it('notices a killed connection while the source gives nothing', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    let isClosed = false
    async function* stuck(): AsyncGenerator<object> {
      try {
        yield { id: 1, body: 'x' }
        await new Promise((resolve) => setImmediate(resolve))
        yield* endless()
      } finally {
        isClosed = true
      }
    }
    const copying = database.copyInto('posts', stuck()).catch((error: unknown) => error)
    await expect.poll(terminateCopy).toBe(1)
    expect(await copying).toMatchObject({ code: 'DHARMA_POSTGRES_CONNECTION' })
    await expect.poll(() => isClosed).toBe(true)
  })

  it('settles with a connection error when the connection is killed in COPY out, and works on', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    const query = {
      text: `select generate_series(1, 1000000), repeat('x', 1000)`,
      values: [],
    }
    const rows = database.copyOut(query)
    await rows.next()
    await expect.poll(terminateCopy).toBe(1)
    await expect(Array.fromAsync(rows)).rejects.toMatchObject({
      code: 'DHARMA_POSTGRES_CONNECTION',
    })
    expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('answers in time on a server that freezes, in and out', async () => {
    await using frozen = await startPostgres({ dedicated: true })
    const pool = { min: 2 }
    const database = await new PostgresManager({ url: frozen.url, pool }).connect()
    await database.query('create table posts (id int, body text)')
    const copying = database.copyInto('posts', endless(), { timeoutMs: 1_000 })
    const outcome = copying.catch((error: unknown) => error)
    const query = { text: `select generate_series(1, 1000000), repeat('x', 1000)`, values: [] }
    const rows = database.copyOut(query, { timeoutMs: 1_000 })
    await rows.next()
    await frozen.stop()
    const reading = Array.fromAsync(rows).catch((error: unknown) => error)
    for (const ended of await Promise.all([outcome, reading])) {
      expect(ended).toMatchObject({ code: 'DHARMA_POSTGRES_TIMEOUT' })
    }
    await database.close({ deadlineMs: 100 })
    await frozen.cont()
  })

  it('aborts a COPY that waits for a lock, at once, and its session serves again', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    const abort = new AbortController()
    await admin.transaction(async (transaction) => {
      await transaction.query('lock table posts in access exclusive mode')
      const copying = database.copyInto('posts', [{ id: 1, body: 'x' }], { signal: abort.signal })
      const outcome = copying.catch((error: unknown) => error)
      const waits = async (): Promise<boolean> => {
        const { rows } = await admin.query(
          `select from pg_stat_activity where wait_event_type = 'Lock'`,
        )
        return rows.length > 0
      }
      await expect.poll(waits).toBe(true)
      abort.abort(new Error('enough'))
      expect(await outcome).toMatchObject({ message: 'enough' })
    })
    expect((await database.query('select count(*)::int as n from posts')).rows).toEqual([{ n: 0 }])
    expect(database.stats().size).toBe(1)
  })

  it('aborts while its source is stuck, and does not wait for it', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    const abort = new AbortController()
    const reached = Promise.withResolvers<void>()
    async function* stuck(): AsyncGenerator<object> {
      yield { id: 1, body: 'x' }
      reached.resolve()
      await new Promise(() => {})
    }
    const copying = database.copyInto('posts', stuck(), { signal: abort.signal })
    const outcome = copying.catch((error: unknown) => error)
    await reached.promise
    abort.abort(new Error('enough'))
    expect(await outcome).toMatchObject({ message: 'enough' })
    expect((await database.query('select count(*)::int as n from posts')).rows).toEqual([{ n: 0 }])
  })

  it('blames no row when the server runs out of room', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    const rows = Array.from({ length: 50_000 }, (_, id) => ({ id, body: 'b'.repeat(100) }))
    await admin.query('create table sums (id int primary key, body text)')
    const failure = await database
      .upsertMany('sums', rows.toReversed(), { conflictColumns: ['id'] })
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(PostgresQueryError)
    expect(failure).toMatchObject({ sqlState: '53400' })
    expect((await database.query('select count(*)::int as n from sums')).rows).toEqual([{ n: 0 }])
  })

  it('passes on a cancel by an operator as what it is', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    const copying = database.copyInto('posts', endless())
    const outcome = copying.catch((error: unknown) => error)
    const cancel = async (): Promise<number> => {
      const { rows } = await admin.query(
        `select pg_cancel_backend(pid) from pg_stat_activity
         where application_name <> 'admin' and query ilike 'copy%' and state = 'active'`,
      )
      return rows.length
    }
    await expect.poll(cancel).toBe(1)
    expect(await outcome).toMatchObject({ sqlState: '57014' })
    expect((await database.query('select count(*)::int as n from posts')).rows).toEqual([{ n: 0 }])
  })
})
