import { PostgresManager, PostgresTimeoutError } from '@dharma/database/postgres'
import { ManualClock } from '@dharma/core/testing'
import { startFaultProxy, startPostgres, type FaultProxy, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FreezingRelay } from './pipeline/freezing-relay.ts'

describeWithPostgres('PostgresManager', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startPostgres({ dedicated: true })
  })

  afterAll(async () => {
    await server.close()
  })

  it('settles every caller when all sessions are terminated, and works on', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 5 } })
    await using other = new PostgresManager({ url: server.url, applicationName: 'terminator' })
    const sleeping = Array.from({ length: 20 }, () => database.query('select pg_sleep(20)'))
    let areSettled = false
    const settled = Promise.allSettled(sleeping).finally(() => {
      areSettled = true
    })
    await expect.poll(() => database.stats().leased).toBe(5)
    // Those who waited take their turn on new sessions, until those are terminated too.
    const terminate = async (): Promise<boolean> => {
      await other.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where backend_type = 'client backend' and application_name <> 'terminator'`,
      )
      return areSettled
    }
    await expect.poll(terminate, { timeout: 15_000 }).toBe(true)
    const outcomes = await settled
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
    expect(outcomes[0]).toMatchObject({ reason: { code: 'DHARMA_POSTGRES_CONNECTION' } })
    // A session opened just before the last round may be among those that it ended.
    await expect
      .poll(() => database.query('select 1 as one').then(({ rows }) => rows))
      .toEqual([{ one: 1 }])
  })

  it('says of a write whose session is terminated that its outcome is not known', async () => {
    await using database = new PostgresManager({ url: server.url, pipeline: false })
    await using other = new PostgresManager({ url: server.url, pipeline: false })
    await database.query('create table if not exists unclear (id int)')
    const text = 'insert into unclear select 1 from pg_sleep(20)'
    const write = database.query(text).catch((error: unknown) => error)
    const terminate = async (): Promise<number | undefined> => {
      const { rowCount } = await other.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where state = 'active' and query = $1`,
        [text],
      )
      return rowCount
    }
    await expect.poll(terminate).toBe(1)
    expect(await write).toMatchObject({
      code: 'DHARMA_POSTGRES_CONNECTION',
      sqlState: '57P01',
      message: expect.stringContaining('not known'),
    })
  })

  it('serves again after the server was killed and came back', async () => {
    await using database = await new PostgresManager({ url: server.url }).connect()
    await server.kill()
    await expect(database.query('select 1', [], { timeoutMs: 500 })).rejects.toMatchObject({
      code: expect.stringMatching(/^DHARMA_P/),
    })
    await server.restart()
    await expect
      .poll(() => database.query('select 1 as one').then(({ rows }) => rows), { timeout: 10_000 })
      .toEqual([{ one: 1 }])
  })

  it('asks a silent connection that listens for a sign of life, and replaces one that gives none', async () => {
    await using relay = await new FreezingRelay(server).listen()
    await using sender = new PostgresManager({ url: server.url, pipeline: false })
    const clock = new ManualClock()
    await using own = new PostgresManager({ url: server.urlThrough(relay), clock })
    const heard: string[] = []
    const gaps: number[] = []
    await own.listen('beats', ({ payload }) => heard.push(payload), {
      onGap: ({ lostMs }) => gaps.push(lostMs),
    })
    for (const payload of ['one', 'two']) {
      // What is heard came behind the sign of life on the same connection.
      await clock.advance(5_000)
      await sender.notify('beats', payload)
      await expect.poll(() => heard.at(-1)).toBe(payload)
    }
    relay.freeze()
    await sender.notify('beats', 'missed')
    await clock.advance(9_999)
    expect(gaps).toEqual([])
    await clock.advance(1)
    await expect.poll(() => gaps).toEqual([10_000])
    await sender.notify('beats', 'three')
    await expect.poll(() => heard).toEqual(['one', 'two', 'three'])
  })

  describe('behind a proxy that freezes', () => {
    let proxy: FaultProxy
    let database: PostgresManager

    beforeEach(async () => {
      proxy = await startFaultProxy({ host: server.host, port: server.port })
      database = await new PostgresManager({
        url: server.urlThrough(proxy),
        pool: { min: 1, max: 4 },
        connectTimeoutMs: 300,
      }).connect()
    })

    afterEach(async () => {
      await database.close({ deadlineMs: 100 })
      await proxy.close()
    })

    it('answers every caller by the deadline, and again once the network is back', async () => {
      proxy.blackHole()
      const startedMs = performance.now()
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, () => database.query('select 1', [], { timeoutMs: 300 })),
      )
      expect(performance.now() - startedMs).toBeLessThan(2_000)
      expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
      // The first has the session that is open; the others wait in vain for further ones.
      expect(outcomes[0]).toMatchObject({ reason: expect.any(PostgresTimeoutError) })
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({
          reason: { code: expect.stringMatching(/^DHARMA_(?:POSTGRES|POOL_ACQUIRE)_TIMEOUT$/) },
        })
      }
      await proxy.heal()
      await expect
        .poll(() => database.query('select 1 as one').then(({ rows }) => rows), { timeout: 10_000 })
        .toEqual([{ one: 1 }])
    })

    it('stores nothing of a COPY whose connection is reset', async () => {
      await database.query('create table if not exists reset_copy (id int, body text)')
      async function* source(): AsyncGenerator<{ id: number; body: string }> {
        for (let id = 0; id < 50_000; id++) {
          if (id === 20_000) proxy.reset()
          yield { id, body: 'x'.repeat(100) }
        }
      }
      await expect(database.copyInto('reset_copy', source())).rejects.toMatchObject({
        code: 'DHARMA_POSTGRES_CONNECTION',
      })
      await proxy.heal()
      const { rows } = await database.query('select count(*)::int as n from reset_copy')
      expect(rows).toEqual([{ n: 0 }])
    })
  })
})
