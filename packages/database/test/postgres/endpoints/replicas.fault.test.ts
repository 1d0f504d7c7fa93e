import { PostgresManager, type EndpointStats } from '@dharma/database/postgres'
import { startPostgresWithReplica, type PostgresWithReplica } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Load } from '../load.ts'

const READ = 'select n, pg_is_in_recovery() as replica from points where id = $1'
const WRITE = 'update points set n = n + 1 where id = $1'

interface Point {
  readonly n: number
  readonly replica: boolean
}

describeWithPostgres.each([15, 18])('a primary and its replica, PostgreSQL %i', (version) => {
  let servers: PostgresWithReplica
  let database: PostgresManager

  // Tests that leave a primary behind which is none any more need a pair of their own.
  const share = (): void => {
    beforeAll(async () => {
      servers = await startPostgresWithReplica({ version })
    })

    afterAll(async () => {
      await servers.close()
    })
  }
  const startEach = (): void => {
    beforeEach(async () => {
      servers = await startPostgresWithReplica({ version })
    })

    afterEach(async () => {
      await servers.close()
    })
  }
  const connectEach = (): void => {
    beforeEach(async () => {
      database = await new PostgresManager({
        url: servers.primary.url,
        replicas: [servers.replica.url],
        applicationName: 'replicas',
        roleCheckMs: 50,
        outageWaitMs: 20_000,
        connectTimeoutMs: 1_000,
      }).connect()
      await database.query('create table if not exists points (id int primary key, n int not null)')
      await database.query('truncate points')
      await database.query('insert into points select i, 0 from generate_series(1, 100) i')
      await servers.caughtUp()
      await vi.waitUntil(() => endpoint('replica').lagMs !== undefined, { timeout: 10_000 })
    })

    afterEach(async () => {
      await database.close({ deadlineMs: 500 })
    })
  }

  function endpoint(which: 'primary' | 'replica'): EndpointStats {
    const { host } = new URL(servers[which].url)
    const found = database.stats().endpoints.find(({ server }) => server === host)
    if (found === undefined) throw new Error(`no endpoint ${host}`)
    return found
  }

  async function read(id = 1): Promise<Point | undefined> {
    return (await database.query<Point>(READ, [id], { replica: true })).rows[0]
  }

  async function onServer(
    which: 'primary' | 'replica',
    use: (own: PostgresManager) => Promise<unknown>,
  ): Promise<void> {
    await using own = new PostgresManager({ url: servers[which].url, pipeline: false })
    await use(own)
  }

  describe('that both work', () => {
    share()
    connectEach()

    it('answers reads that may be a little old from the replica, and all others from the primary', async () => {
      expect(await read()).toEqual({ n: 0, replica: true })
      expect((await database.query<Point>(READ, [1])).rows).toEqual([{ n: 0, replica: false }])
      const streamed: Point[] = []
      for await (const row of database.stream<Point>(READ, [1], { replica: true }))
        streamed.push(row)
      expect(streamed).toEqual([{ n: 0, replica: true }])
      const options = { readOnly: true, replica: true }
      const inTransaction = await database.transaction(async (transaction) => {
        return (await transaction.query<Point>(READ, [1])).rows[0]?.replica
      }, options)
      expect(inTransaction).toBe(true)
      const writing = database.transaction(async () => undefined, { replica: true })
      await expect(writing).rejects.toThrow('readOnly')
    })

    it('runs a write that was sent to a replica by mistake on the primary', async () => {
      const written = await database.query(WRITE, [3], { replica: true })
      expect(written.rowCount).toBe(1)
      expect((await database.query<Point>(READ, [3])).rows[0]?.n).toBe(1)
    })

    it('leaves a replica out while it is behind, and takes it back', async () => {
      await onServer('replica', (own) => own.query('select pg_wal_replay_pause()'))
      await database.query(WRITE, [1])
      await expect.poll(async () => (await read())?.replica, { timeout: 10_000 }).toBe(false)
      expect(await read()).toEqual({ n: 1, replica: false })
      await onServer('replica', (own) => own.query('select pg_wal_replay_resume()'))
      await expect.poll(() => read(), { timeout: 10_000 }).toEqual({ n: 1, replica: true })
    })

    it('loses no read when the replica freezes, and takes it back when it goes on', async () => {
      await using load = new Load(8, (caller) => read(caller + 1))
      await expect.poll(() => load.answered).toBeGreaterThan(100)
      await servers.replica.stop()
      await expect.poll(() => endpoint('replica').isUp, { timeout: 10_000 }).toBe(false)
      const before = load.answered
      await expect.poll(() => load.answered, { timeout: 10_000 }).toBeGreaterThan(before + 200)
      await servers.replica.cont()
      await expect.poll(async () => (await read())?.replica, { timeout: 10_000 }).toBe(true)
      await load.end()
      expect(load.errors).toEqual([])
    })

    it('never shows a caller data older than its own writes, under load', async () => {
      let fromReplica = 0
      let stale = 0
      await using load = new Load(8, async (caller) => {
        await database.readYourWrites(async () => {
          const id = caller + 1
          const { rows } = await database.query<{ n: number }>(
            'update points set n = n + 1 where id = $1 returning n',
            [id],
          )
          for (let look = 0; look < 5; look++) {
            const seen = await read(id)
            if (seen?.replica === true) fromReplica += 1
            if (seen === undefined || seen.n < (rows[0]?.n ?? 0)) stale += 1
          }
          await database.transaction((transaction) => transaction.query(WRITE, [id]))
          const after = await read(id)
          if (after === undefined || after.n < (rows[0]?.n ?? 0) + 1) stale += 1
        })
      })
      await expect.poll(() => load.answered, { timeout: 30_000 }).toBeGreaterThan(300)
      await load.end()
      expect({ stale, errors: load.errors }).toEqual({ stale: 0, errors: [] })
      // A request that goes on reading is served by the replica once that has its write.
      const isServed = await database.readYourWrites(async () => {
        await database.query(WRITE, [50])
        for (let look = 0; look < 10_000; look++)
          if ((await read(50))?.replica === true) return true
        return false
      })
      expect(isServed).toBe(true)
    })

    it('carries what a request wrote over to another request by its position', async () => {
      await onServer('replica', (own) => own.query('select pg_wal_replay_pause()'))
      const after = await database.readYourWrites(async () => {
        await database.query(WRITE, [7])
        return database.writePosition()
      })
      expect(after).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/)
      const seen = await database.readYourWrites(() => read(7), { after })
      expect(seen).toEqual({ n: 1, replica: false })
      await onServer('replica', (own) => own.query('select pg_wal_replay_resume()'))
      await expect
        .poll(() => database.readYourWrites(() => read(7), { after }), { timeout: 10_000 })
        .toEqual({ n: 1, replica: true })
      expect(() => database.readYourWrites(() => 1, { after: 'nonsense' })).toThrow(RangeError)
    })

    it('finds the primary wherever it stands in the options', async () => {
      await using other = await new PostgresManager({
        url: servers.replica.url,
        replicas: [servers.primary.url],
        roleCheckMs: 50,
      }).connect()
      expect((await other.query(WRITE, [11])).rowCount).toBe(1)
      expect(
        await other.transaction(async (each) => (await each.query(WRITE, [11])).rowCount),
      ).toBe(1)
    })

    it('reads on from the replica while no primary answers, and refuses writes with the reason', async () => {
      await using own = await new PostgresManager({
        url: servers.primary.url,
        replicas: [servers.replica.url],
        roleCheckMs: 50,
        outageWaitMs: 200,
      }).connect()
      await expect
        .poll(async () => (await own.query<Point>(READ, [1], { replica: true })).rows[0]?.replica)
        .toBe(true)
      await servers.primary.kill()
      const write = (): Promise<unknown> => own.query(WRITE, [1]).catch((error: unknown) => error)
      await expect.poll(write, { timeout: 10_000 }).toMatchObject({
        code: 'DHARMA_POSTGRES_UNAVAILABLE',
        server: new URL(servers.primary.url).host,
      })
      const startedMs = performance.now()
      await write()
      expect(performance.now() - startedMs).toBeLessThan(150)
      const reads = await Promise.all(
        Array.from({ length: 20 }, () => own.query<Point>(READ, [1], { replica: true })),
      )
      expect(reads.every(({ rows }) => rows[0]?.replica)).toBe(true)
      await servers.primary.restart()
      await expect
        .poll(
          () =>
            own.query(WRITE, [1]).then(
              ({ rowCount }) => rowCount,
              () => 0,
            ),
          { timeout: 10_000 },
        )
        .toBe(1)
    })
  })

  describe('that change places', () => {
    startEach()
    connectEach()

    it.each([
      ['kill', 'replica'],
      ['stop', 'superseded'],
    ] as const)(
      'lets writes wait for the promoted replica after a %s of the primary, and sends none twice',
      async (fault, roleAfter) => {
        const heard: string[] = []
        await database.listen('news', ({ payload }) => heard.push(payload))
        await using load = new Load(6, (caller) => database.query(WRITE, [caller + 1]))
        await expect.poll(() => load.answered, { timeout: 10_000 }).toBeGreaterThan(100)
        await servers.caughtUp()
        await servers.primary[fault]()
        await servers.promote()
        const before = load.answered
        await expect.poll(() => load.answered, { timeout: 20_000 }).toBeGreaterThan(before + 100)
        await load.end()
        // Each caller can have been waiting for one answer at most when the primary went.
        expect(load.errors.length).toBeLessThanOrEqual(6)
        for (const error of load.errors) {
          expect(error).toMatchObject({ code: 'DHARMA_POSTGRES_CONNECTION' })
        }
        const { rows: sums } = await database.query<{ n: number }>(
          'select sum(n)::int as n from points',
        )
        expect(sums[0]?.n).toBeLessThanOrEqual(load.answered + load.errors.length)
        expect(endpoint('replica').role).toBe('primary')
        await expect
          .poll(
            async () => {
              await database.notify('news', 'after')
              return heard
            },
            { timeout: 20_000 },
          )
          .toContain('after')
        // One that was only frozen still calls itself a primary, and must not be believed.
        await (fault === 'kill' ? servers.demote() : servers.primary.cont())
        await expect.poll(() => endpoint('primary').role, { timeout: 20_000 }).toBe(roleAfter)
        await expect
          .poll(async () => (await read(9))?.replica, { timeout: 20_000 })
          .toBe(roleAfter === 'replica')
        const moved = await database.transaction(async (transaction) => {
          return (await transaction.query(WRITE, [9])).rowCount
        })
        expect(moved).toBe(1)
        const { rows } = await database.query<{ port: number }>('select inet_server_port() as port')
        expect(rows[0]?.port).toBe(servers.replica.port)
      },
    )
  })
})
