import { PostgresManager, PostgresQueryError, sql } from '@dharma/database/postgres'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'

const url = inject('postgresUrl')
const schema = 'streams_and_loads_test'

describeWithPostgres('PostgresManager', () => {
  let database: PostgresManager

  beforeAll(async () => {
    database = await new PostgresManager({ url, pool: { max: 3 } }).connect()
    await database.query(`drop schema if exists ${schema} cascade`)
    await database.query(`create schema ${schema}`)
    await database.query(`create table ${schema}.users (id int primary key, handle text, key uuid)`)
    await database.query(
      `insert into ${schema}.users
       select i, 'user ' || i, ('00000000-0000-0000-0000-' || lpad(to_hex(i), 12, '0'))::uuid
       from generate_series(1, 5000) i`,
    )
  })

  afterAll(async () => {
    await database.query(`drop schema ${schema} cascade`)
    await database.close()
  })

  describe('stream', () => {
    it('gives all rows in their order, over many batches', async () => {
      const ids: number[] = []
      const statement = sql`select id from streams_and_loads_test.users where id > ${10} order by id`
      for await (const { id } of database.stream<{ id: number }>(statement, [], { batchRows: 7 })) {
        ids.push(id)
      }
      expect(ids).toEqual(Array.from({ length: 4_990 }, (_, index) => index + 11))
      expect(database.stats().leased).toBe(0)
    })

    it('holds no more than a batch, however many rows there are', async () => {
      const before = process.memoryUsage().heapUsed
      let rows = 0
      let peak = 0
      const all = database.stream<{ n: number; body: string }>(
        `select n, repeat('x', 1000) as body from generate_series(1, 200000) n`,
      )
      for await (const { body } of all) {
        rows += body.length / 1_000
        if (rows % 10_000 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed - before)
      }
      expect(rows).toBe(200_000)
      // All rows together are more than 200 MB.
      expect(peak).toBeLessThan(100 * 1024 * 1024)
    })

    it('gives its session back when the loop is left early', async () => {
      for (let run = 0; run < 5; run++) {
        for await (const row of database.stream(`select * from ${schema}.users`)) {
          expect(row).toHaveProperty('id')
          break
        }
      }
      expect(database.stats().leased).toBe(0)
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })

    it('throws the server’s error, at the start and in the middle', async () => {
      const read = async (text: string): Promise<number> => {
        let rows = 0
        for await (const _ of database.stream(text, [], { batchRows: 10 })) rows += 1
        return rows
      }
      await expect(read('select nothing')).rejects.toBeInstanceOf(PostgresQueryError)
      await expect(
        read('select 1 / (50 - n) from generate_series(1, 100) n'),
      ).rejects.toMatchObject({ sqlState: '22012' })
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })

    it('ends at its deadline and with its signal', async () => {
      const sleepy = 'select pg_sleep(10) from generate_series(1, 10)'
      await expect(database.stream(sleepy, [], { timeoutMs: 100 }).next()).rejects.toMatchObject({
        code: 'DHARMA_POSTGRES_TIMEOUT',
      })
      const abort = new AbortController()
      const next = database.stream(sleepy, [], { signal: abort.signal }).next()
      abort.abort(new Error('enough'))
      await expect(next).rejects.toThrow('enough')
      await expect.poll(() => database.stats().leased).toBe(0)
    })

    it('refuses a batch of nothing', async () => {
      await expect(database.stream('select 1', [], { batchRows: 0 }).next()).rejects.toThrow(
        'batchRows',
      )
    })
  })

  describe('loadMany', () => {
    it('gives rows in the order of their keys, and undefined for what is not there', async () => {
      const rows = await database.loadMany<{ id: number; handle: string }>(
        `${schema}.users`,
        'id',
        [3, 999_999, 1, 3],
        { columns: ['handle'] },
      )
      expect(rows).toEqual([
        { id: 3, handle: 'user 3' },
        undefined,
        { id: 1, handle: 'user 1' },
        { id: 3, handle: 'user 3' },
      ])
      expect(await database.loadMany(`${schema}.users`, 'id', [])).toEqual([])
    })

    it('takes more keys than fit in one statement', async () => {
      const keys = Array.from({ length: 4_500 }, (_, index) => index + 1)
      const rows = await database.loadMany<{ id: number }>(`${schema}.users`, 'id', keys)
      expect(rows.map((row) => row?.id)).toEqual(keys)
    })

    it('finds keys that the server writes differently', async () => {
      const rows = await database.loadMany<{ id: number }>(`${schema}.users`, 'key', [
        '00000000-0000-0000-0000-00000000000A',
        '00000000-0000-0000-0000-00000000000b',
        'ffffffff-ffff-ffff-ffff-ffffffffffff',
      ])
      expect(rows.map((row) => row?.id)).toEqual([10, 11, undefined])
    })

    it('refuses a table or a column that is no name', async () => {
      await expect(database.loadMany('users; drop table x', 'id', [1])).rejects.toThrow(RangeError)
      await expect(database.loadMany('users', '', [1])).rejects.toThrow(RangeError)
    })
  })

  describe('loader', () => {
    it('reads what is asked for at once by one statement, equal keys once', async () => {
      await using own = new PostgresManager({ url, pool: { max: 4 } })
      const users = own.loader<{ id: number; handle: string }>(`${schema}.users`, 'id')
      const rows = await Promise.all([5, 6, 5, 999_999].map((key) => users.load(key)))
      expect(rows.map((row) => row?.handle)).toEqual(['user 5', 'user 6', 'user 5', undefined])
      expect(own.stats().totals.acquired).toBe(1)
    })

    it('splits what exceeds its batch', async () => {
      await using own = new PostgresManager({ url, pool: { max: 4 } })
      const users = own.loader<{ id: number }>(`${schema}.users`, 'id', { maxBatch: 2 })
      const rows = await Promise.all([1, 2, 3, 4, 5].map((key) => users.load(key)))
      expect(rows.map((row) => row?.id)).toEqual([1, 2, 3, 4, 5])
      expect(own.stats().totals.acquired).toBe(3)
    })

    it('gives the error of a statement to all who took part', async () => {
      const none = database.loader(`${schema}.nothing`, 'id')
      const outcomes = await Promise.allSettled([none.load(1), none.load(1), none.load(2)])
      for (const outcome of outcomes)
        expect(outcome).toMatchObject({ reason: { sqlState: '42P01' } })
      expect(() => database.loader('t', 'id', { maxBatch: 0 })).toThrow(RangeError)
    })
  })

  describe('listen', () => {
    it('hears what is sent to its channels until it is closed', async () => {
      const heard: string[] = []
      const first = await database.listen('news', ({ channel, payload }) => {
        heard.push(`${channel}: ${payload}`)
      })
      await using second = await database.listen('Other "news"', ({ payload }) => {
        heard.push(payload)
      })
      await database.notify('news', 'one')
      await database.notify('Other "news"', 'two')
      await expect.poll(() => heard).toEqual(['news: one', 'two'])
      await first.close()
      await first.close()
      await database.notify('news', 'unheard')
      await database.notify('Other "news"', 'three')
      await expect.poll(() => heard).toEqual(['news: one', 'two', 'three'])
      await second.close()
      await using again = await database.listen('news', ({ payload }) => heard.push(payload))
      await database.notify('news', 'four')
      await expect.poll(() => heard.at(-1)).toBe('four')
      expect(again).toBeDefined()
    })

    it('listens again when its connection is lost, and reports the gap', async () => {
      const heard: string[] = []
      const gaps: number[] = []
      await using own = new PostgresManager({ url, applicationName: 'listening_test' })
      const heardIt = await own.listen('gaps', ({ payload }) => heard.push(payload), {
        onGap: ({ lostMs, cause }) => {
          expect(cause).toBeInstanceOf(Error)
          gaps.push(lostMs)
        },
      })
      for (let round = 1; round <= 3; round++) {
        await database.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1`,
          ['listening_test'],
        )
        await expect.poll(() => gaps.length).toBe(round)
        await database.notify('gaps', `after ${round}`)
        await expect.poll(() => heard.at(-1)).toBe(`after ${round}`)
      }
      await heardIt.close()
      await own.close()
      await expect(own.listen('gaps', () => undefined)).rejects.toMatchObject({
        code: 'DHARMA_CLOSED',
      })
    })

    it('says at once that the server cannot be reached', async () => {
      await using lost = new PostgresManager({ url: 'postgres://u:p@127.0.0.1:1/d' })
      await expect(lost.listen('news', () => undefined)).rejects.toMatchObject({
        code: 'DHARMA_POSTGRES_CONNECTION',
      })
    })
  })
})
