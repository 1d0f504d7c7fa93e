import { PostgresManager, PostgresTimeoutError } from '@dharma/database/postgres'
import {
  isPgBouncerAvailable,
  startPgBouncer,
  startPostgres,
  type TestServer,
} from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const hasPgBouncer = await isPgBouncerAvailable()
if (!hasPgBouncer) {
  if (process.env['CI'] === 'true') throw new Error('pgbouncer is missing: install pgbouncer')
  console.warn('SKIPPED, for pgbouncer is missing: all tests behind a pooler. Install pgbouncer.')
}
const suite = hasPgBouncer ? describeWithPostgres : describe.skip

suite('behind PgBouncer in transaction mode (needs the program pgbouncer)', () => {
  let server: TestServer
  let bouncer: TestServer
  let database: PostgresManager
  let direct: PostgresManager

  beforeAll(async () => {
    server = await startPostgres({ dedicated: true })
    bouncer = await startPgBouncer(server, { poolSize: 2 })
    database = await new PostgresManager({ url: bouncer.url, prepare: false }).connect()
    direct = new PostgresManager({ url: server.url, pipeline: false })
    await direct.query('create table points (id int primary key, n int not null)')
    await direct.query('insert into points select i, 0 from generate_series(1, 100) i')
  })

  afterAll(async () => {
    await direct.close()
    await database.close()
    await bouncer.close()
    await server.close()
  })

  it('runs the same statements on whichever session they get', async () => {
    const callers = Array.from({ length: 400 }, (_, index) => {
      return database.query<{ id: number }>('select id from points where id = $1', [
        1 + (index % 100),
      ])
    })
    const results = await Promise.all(callers)
    expect(results.map(({ rows }) => rows[0]?.id)).toEqual(
      Array.from({ length: 400 }, (_, index) => 1 + (index % 100)),
    )
    expect(database.stats().pipeline).toBeUndefined()
    const { rows } = await direct.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    )
    expect(rows[0]?.n).toBeLessThanOrEqual(2)
  })

  it('keeps a transaction on one session, and undoes it as a whole', async () => {
    const add = (caller: number): Promise<unknown> => {
      return database.transaction(async (transaction) => {
        await transaction.query('update points set n = n + 1 where id = $1', [caller])
        await transaction.query('update points set n = n + 1 where id = $1', [caller + 50])
        if (caller % 2 === 0) throw new Error('changed my mind')
      })
    }
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, index) => add(index + 1)),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(20)
    const { rows } = await database.query<{ n: number }>('select sum(n)::int as n from points')
    expect(rows[0]?.n).toBe(40)
  })

  it('streams, and copies', async () => {
    let seen = 0
    for await (const row of database.stream<{ id: number }>('select id from points', [], {
      batchRows: 7,
    })) {
      seen += row.id
    }
    expect(seen).toBe(5_050)
    await database.copyInto('points', [{ id: 1_000, n: 0 }])
    expect((await database.query('delete from points where id = 1000')).rowCount).toBe(1)
  })

  it('cancels a statement on the server at its deadline, through the pooler', async () => {
    const marker = 'select pg_sleep(30) /* pooled deadline */'
    await expect(database.query(marker, [], { timeoutMs: 200 })).rejects.toBeInstanceOf(
      PostgresTimeoutError,
    )
    const running = async (): Promise<number | undefined> => {
      const { rows } = await direct.query<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where state = 'active' and query = $1`,
        [marker],
      )
      return rows[0]?.n
    }
    await expect.poll(running, { timeout: 10_000 }).toBe(0)
    expect((await database.query<{ n: number }>('select 1 as n')).rows).toEqual([{ n: 1 }])
  })

  it('refuses to listen, and says what to do', async () => {
    await expect(database.listen('news', () => undefined)).rejects.toThrow(
      'connects to the server itself',
    )
    await expect(database.notify('news', 'is possible')).resolves.toBeUndefined()
  })

  it('refuses to count sessions that the pooler hides', () => {
    const options = { url: bouncer.url, prepare: false, pool: { autoscale: true } }
    expect(() => new PostgresManager(options)).toThrow('autoscale')
  })

  it('answers again after the pooler was restarted', async () => {
    await bouncer.kill()
    await expect(database.query('select 1', [], { timeoutMs: 300 })).rejects.toMatchObject({
      code: expect.stringMatching(/^DHARMA_POSTGRES/),
    })
    await bouncer.restart()
    await expect
      .poll(
        () =>
          database.query('select 1').then(
            ({ rowCount }) => rowCount,
            () => 0,
          ),
        { timeout: 10_000 },
      )
      .toBe(1)
  })
})
