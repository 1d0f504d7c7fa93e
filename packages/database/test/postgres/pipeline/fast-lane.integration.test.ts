import { createMetrics } from '@dharma/core/metrics'
import {
  PostgresManager,
  PostgresQueryError,
  PostgresTimeoutError,
  type PostgresStats,
} from '@dharma/database/postgres'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest'

const url = inject('postgresUrl')
const schema = 'fast_lane_test'
const READ = `select id, body from ${schema}.points where id = $1`
const WRITE = `update ${schema}.points set body = $2 where id = $1`

function totals(stats: PostgresStats): NonNullable<PostgresStats['pipeline']>['totals'] {
  if (stats.pipeline === undefined) throw new Error('the lane is off')
  return stats.pipeline.totals
}

describeWithPostgres('the fast lane', () => {
  let control: PostgresManager
  let database: PostgresManager

  beforeAll(async () => {
    control = await new PostgresManager({ url, pipeline: false }).connect()
    await control.query(`drop schema if exists ${schema} cascade`)
    await control.query(`create schema ${schema}`)
    await control.query(`create table ${schema}.points (id int primary key, body text)`)
    await control.query(
      `insert into ${schema}.points select i, 'body ' || i from generate_series(1, 1000) i`,
    )
  })

  afterAll(async () => {
    await control.query(`drop schema ${schema} cascade`)
    await control.close()
  })

  beforeEach(async () => {
    database = await new PostgresManager({ url, pool: { max: 4 } }).connect()
  })

  afterEach(async () => {
    await database.close()
  })

  /** Runs a statement until it is answered on a shared connection. */
  async function warm(text: string, values: readonly unknown[]): Promise<void> {
    const before = totals(database.stats()).answered
    await expect
      .poll(
        async () => {
          await database.query(text, values)
          return totals(database.stats()).answered
        },
        { interval: 1, timeout: 10_000 },
      )
      .toBeGreaterThan(before)
  }

  it('takes over statements that prove short, and gives each caller his own rows', async () => {
    await warm(READ, [1])
    const burst = async (): Promise<number> => {
      const before = totals(database.stats()).answered
      const results = await Promise.all(
        Array.from({ length: 1_000 }, (_, index) => {
          return database.query<{ id: number; body: string }>(READ, [index + 1])
        }),
      )
      expect(results.map(({ rows }) => rows[0]?.id)).toEqual(
        Array.from({ length: 1_000 }, (_, index) => index + 1),
      )
      expect(results[9]).toEqual({
        rows: [{ id: 10, body: 'body 10' }],
        rowCount: 1,
        command: 'SELECT',
      })
      return totals(database.stats()).answered - before
    }
    await expect.poll(burst, { timeout: 10_000 }).toBeGreaterThan(900)
    expect(database.stats().pipeline?.connections).toBeLessThanOrEqual(4)
  })

  it.each([{ pipeline: false }, { maxStatements: 0 }])('is off with %j', async (options) => {
    await using off = new PostgresManager({ url, ...options })
    for (let run = 0; run < 10; run++) await off.query(READ, [run])
    expect(off.stats().pipeline).toBeUndefined()
  })

  it('fails only the statement that the server refuses', async () => {
    const divide = `select 10 / $1::int as n`
    await warm(divide, [1])
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, (_, index) => {
        return database.query<{ n: number }>(divide, [index % 3 === 0 ? 0 : 5])
      }),
    )
    const refused = outcomes.filter((_, index) => index % 3 === 0)
    const answered = outcomes.filter((_, index) => index % 3 !== 0)
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ reason: expect.any(PostgresQueryError) })
      expect(outcome).toMatchObject({ reason: { sqlState: '22012' } })
    }
    for (const outcome of answered) expect(outcome).toMatchObject({ value: { rows: [{ n: 2 }] } })
  })

  it('rejects with the caller’s own mistake a value that cannot be sent', async () => {
    await warm(READ, [1])
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    const outcomes = await Promise.allSettled([
      database.query(READ, [1]),
      database.query(READ, [cyclic]),
      database.query(READ, [2]),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: expect.any(TypeError) })
    expect(totals(database.stats()).lost).toBe(0)
  })

  it('frees the statements behind one that waits for a lock, writes included', async () => {
    await warm(WRITE, [1, 'warm'])
    await warm(READ, [1])
    let blocked: Promise<unknown> | undefined
    // The lock's owner lets go only when a write that stands behind the blocked one is done.
    await control.transaction(async (transaction) => {
      await transaction.query(`select 1 from ${schema}.points where id = 7 for update`)
      blocked = database.query(WRITE, [7, 'blocked'])
      const behind = Array.from({ length: 20 }, (_, index) => {
        return Promise.all([
          database.query(WRITE, [100 + index, 'behind']),
          database.query(READ, [200 + index]),
        ])
      })
      await Promise.all(behind)
      await transaction.query(`update ${schema}.points set body = 'owner' where id = 7`)
    })
    await blocked
    expect(totals(database.stats()).overstayed).toBeGreaterThanOrEqual(1)
    const { rows } = await control.query<{ body: string; n: number }>(
      `select body, count(*)::int as n from ${schema}.points
       where body in ('blocked', 'behind') group by body order by body`,
    )
    expect(rows).toEqual([
      { body: 'behind', n: 20 },
      { body: 'blocked', n: 1 },
    ])
  })

  it('answers at the deadline, and ends on the server what nobody waits for', async () => {
    await warm(WRITE, [1, 'warm'])
    await control.transaction(async (transaction) => {
      await transaction.query(`select 1 from ${schema}.points where id = 8 for update`)
      const late = database.query(WRITE, [8, 'late'], { timeoutMs: 50 })
      await expect(late).rejects.toBeInstanceOf(PostgresTimeoutError)
      await expect(late).rejects.toMatchObject({ timeoutMs: 50 })
      await expect
        .poll(async () => {
          const { rows } = await control.query<{ n: number }>(
            `select count(*)::int as n from pg_stat_activity
             where state = 'active' and wait_event_type = 'Lock' and query = $1`,
            [WRITE],
          )
          return rows[0]?.n
        })
        .toBe(0)
    })
    const { rows } = await control.query<{ body: string }>(READ, [8])
    expect(rows[0]?.body).toBe('body 8')
  })

  it('rejects with the signal’s reason', async () => {
    await warm(READ, [1])
    const abort = new AbortController()
    const aborted = database.query(READ, [1], { signal: abort.signal })
    abort.abort(new Error('the user left'))
    await expect(aborted).rejects.toThrow('the user left')
    await expect(database.query(READ, [1], { signal: abort.signal })).rejects.toThrow('left')
    expect((await database.query(READ, [3])).rowCount).toBe(1)
  })

  it('prepares anew what no longer fits its table', async () => {
    const table = `${schema}.changing`
    await control.query(`create table ${table} (a int)`)
    await control.query(`insert into ${table} values (1)`)
    const text = `select * from ${table}`
    await warm(text, [])
    await Promise.all(Array.from({ length: 40 }, () => database.query(text)))
    await control.query(`alter table ${table} add column b int default 2`)
    const results = await Promise.all(Array.from({ length: 40 }, () => database.query(text)))
    for (const { rows } of results) expect(rows).toEqual([{ a: 1, b: 2 }])
  })

  it('keeps no more prepared statements than its limit', async () => {
    await using small = new PostgresManager({ url, maxStatements: 4, pool: { max: 1 } })
    const texts = Array.from({ length: 12 }, (_, index) => `select ${index} as n`)
    for (let run = 0; run < 8; run++) {
      const results = await Promise.all(texts.map((text) => small.query<{ n: number }>(text)))
      expect(results.map(({ rows }) => rows[0]?.n)).toEqual(texts.map((_, index) => index))
    }
    const count = 'select count(*)::int as n, pg_backend_pid() from pg_prepared_statements'
    for (let run = 0; run < 10; run++) {
      const { rows } = await small.query<{ n: number }>(count)
      expect(rows[0]?.n).toBeLessThanOrEqual(4)
    }
  })

  it('counts in the metrics what it answers', async () => {
    const metrics = createMetrics()
    await using counted = new PostgresManager({ url, metrics, name: 'counted' })
    let calls = 0
    await expect
      .poll(
        async () => {
          calls += 1
          await counted.query(READ, [calls])
          return totals(counted.stats()).answered
        },
        { interval: 1 },
      )
      .toBeGreaterThan(3)
    await counted.close()
    const answered = metrics.read('dharma_postgres_pipeline_answered_total')
    expect(answered).toMatchObject({ series: [{ labelValues: ['counted'] }] })
    expect(answered?.kind === 'counter' && answered.series[0]?.value).toBeGreaterThan(0)
    expect(metrics.read('dharma_postgres_operation_seconds')).toMatchObject({
      series: expect.arrayContaining([expect.objectContaining({ count: calls })]),
    })
  })

  it('lets what is on its way end when it is closed', async () => {
    await warm(READ, [1])
    const reads = Array.from({ length: 200 }, (_, index) => database.query(READ, [index + 1]))
    const settled = Promise.all(reads)
    await database.close()
    expect((await settled).map(({ rowCount }) => rowCount)).toEqual(reads.map(() => 1))
    await expect(database.query(READ, [1])).rejects.toMatchObject({ code: 'DHARMA_CLOSED' })
  })
})
