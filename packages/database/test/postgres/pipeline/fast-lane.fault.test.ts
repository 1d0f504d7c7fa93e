import { PostgresManager, type PostgresStats } from '@dharma/database/postgres'
import { startFaultProxy, startPostgres, type FaultProxy, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { Load } from '../load.ts'
import { FreezingRelay } from './freezing-relay.ts'

const READ = 'select id, n from points where id = $1'
const WRITE = 'update points set n = n + 1 where id = $1'

function totals(stats: PostgresStats): NonNullable<PostgresStats['pipeline']>['totals'] {
  if (stats.pipeline === undefined) throw new Error('the lane is off')
  return stats.pipeline.totals
}

/** Until both statements are answered on shared connections. */
async function warm(database: PostgresManager): Promise<void> {
  for (const text of [READ, WRITE]) {
    const before = totals(database.stats()).answered
    const answer = async (): Promise<number> => {
      await database.query(text, [100])
      return totals(database.stats()).answered - before
    }
    await expect.poll(answer, { interval: 1, timeout: 10_000 }).toBeGreaterThan(5)
  }
}

describeWithPostgres.each([15, 18])('the fast lane, PostgreSQL %i', (version) => {
  let server: TestServer
  let proxy: FaultProxy
  let control: PostgresManager
  let database: PostgresManager

  beforeAll(async () => {
    server = await startPostgres({ dedicated: true, version })
    control = await new PostgresManager({
      url: server.url,
      applicationName: 'control',
      pipeline: false,
    }).connect()
    await control.query('create table points (id int primary key, n int not null)')
    await control.query('insert into points select i, 0 from generate_series(1, 100) i')
  })

  afterAll(async () => {
    await control.close({ deadlineMs: 100 })
    await server.close()
  })

  beforeEach(async () => {
    proxy = await startFaultProxy({ host: server.host, port: server.port })
    database = new PostgresManager({
      url: server.urlThrough(proxy),
      applicationName: 'loaded',
      pool: { max: 4 },
      connectTimeoutMs: 500,
    })
    await warm(database)
  })

  afterEach(async () => {
    await database.close({ deadlineMs: 500 })
    await proxy.close()
  })

  it(
    'shows no read error while all sessions are terminated fifty times',
    { timeout: 180_000 },
    async () => {
      const load = new Load(32, (caller) => database.query(READ, [caller + 1]))
      for (let round = 0; round < 50; round++) {
        const before = load.answered
        await expect
          .poll(() => load.answered, { interval: 5, timeout: 20_000 })
          .toBeGreaterThan(before + 200)
        await control.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'loaded'`,
        )
      }
      await load.end()
      expect(load.errors).toEqual([])
      expect(totals(database.stats()).lost).toBeGreaterThan(0)
    },
  )

  it('sends no write twice while sessions are terminated, and says which are unclear', async () => {
    await control.query('update points set n = 0')
    const load = new Load(16, (caller) => database.query(WRITE, [caller + 1]))
    for (let round = 0; round < 10; round++) {
      const before = load.answered
      await expect
        .poll(() => load.answered, { interval: 5, timeout: 20_000 })
        .toBeGreaterThan(before + 100)
      await control.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'loaded'`,
      )
    }
    await load.end()
    for (const error of load.errors) {
      expect(error).toMatchObject({ code: 'DHARMA_POSTGRES_CONNECTION' })
    }
    const { rows } = await control.query<{ n: number }>('select sum(n)::int as n from points')
    const stored = rows[0]?.n ?? 0
    expect(stored).toBeGreaterThanOrEqual(load.answered)
    expect(stored).toBeLessThanOrEqual(load.answered + load.errors.length)
  })

  it('loses no read when all connections freeze, and goes on over new ones', async () => {
    await using relay = await new FreezingRelay(server).listen()
    await using own = new PostgresManager({ url: server.urlThrough(relay), pool: { max: 4 } })
    await warm(own)
    relay.freeze()
    const startedMs = performance.now()
    const write = own.query(WRITE, [50]).catch((error: unknown) => error)
    const reads = Array.from({ length: 30 }, (_, index) => own.query(READ, [index + 1]))
    const outcomes = await Promise.allSettled(reads)
    const tookMs = performance.now() - startedMs
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
    expect(tookMs).toBeLessThan(2_000)
    expect(await write).toMatchObject({
      code: 'DHARMA_POSTGRES_CONNECTION',
      message: expect.stringContaining('not known'),
    })
    expect(totals(own.stats()).frozen).toBeGreaterThan(0)
    expect((await own.query(READ, [1])).rowCount).toBe(1)
  })

  it('loses no read of sessions of their own either when all connections freeze', async () => {
    await using relay = await new FreezingRelay(server).listen()
    const url = server.urlThrough(relay)
    await using own = new PostgresManager({ url, pool: { max: 4 }, pipeline: false })
    await Promise.all(Array.from({ length: 8 }, () => own.query(READ, [1])))
    relay.freeze()
    const startedMs = performance.now()
    const reads = Array.from({ length: 30 }, (_, index) => own.query(READ, [index + 1]))
    const outcomes = await Promise.allSettled(reads)
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })

  it('answers by the deadline while nothing comes through at all', async () => {
    proxy.blackHole()
    const startedMs = performance.now()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) => {
        return database.query(index % 2 === 0 ? READ : WRITE, [index % 90], { timeoutMs: 400 })
      }),
    )
    expect(performance.now() - startedMs).toBeLessThan(2_000)
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
    await proxy.heal()
    await expect
      .poll(() => database.query(READ, [1]).then(({ rowCount }) => rowCount), { timeout: 10_000 })
      .toBe(1)
  })

  it('serves again after the server was restarted under load', async () => {
    const load = new Load(16, (caller) => database.query(READ, [caller + 1], { timeoutMs: 5_000 }))
    await server.kill()
    await server.restart()
    const before = load.answered
    await expect
      .poll(() => load.answered, { interval: 5, timeout: 20_000 })
      .toBeGreaterThan(before + 500)
    await load.end()
    for (const error of load.errors) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^DHARMA_PO/) })
    }
  })
})
