import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { QueryPerformanceTracker, type TrackedQuery } from '@dharma/database/performance'
import { MongoManager } from '@dharma/database/mongodb'
import { PostgresManager } from '@dharma/database/postgres'
import { startPostgres, uniqueName, type TestServer } from '@dharma/testkit'
import { describeWithMongo, describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'

const table = uniqueName('tracked')

describeWithPostgres.each([15, 18])('QueryPerformanceTracker, PostgreSQL %i', (version) => {
  let server: TestServer
  let database: PostgresManager

  beforeAll(async () => {
    server = await startPostgres({ version })
    database = await new PostgresManager({ url: server.url, pool: { max: 4 } }).connect()
    await database.query(`create table ${table} (id int primary key, name text)`)
    await database.query(`insert into ${table} select i, 'n' from generate_series(1, 100) i`)
  })

  afterAll(async () => {
    await database.query(`drop table ${table}`)
    await database.close()
    await server.close()
  })

  it('counts by fingerprint, constants or parameters, statements alone and in transactions', async () => {
    const tracker = new QueryPerformanceTracker()
    using watching = new DisposableStack()
    watching.use(tracker.watch(database))
    for (let id = 1; id <= 5; id++)
      await database.query(`select name from ${table} where id = ${id}`)
    for (let id = 1; id <= 5; id++)
      await database.query(`select name from ${table} where id = $1`, [id])
    await database.transaction((transaction) =>
      transaction.query(`select name from ${table} where id = 6`),
    )
    await database
      .query(`select nothing from ${table} where name = 'secret'`)
      .catch(() => undefined)
    await database.query('this is no SQL 5').catch(() => undefined)
    for await (const row of database.stream(`select id, name from ${table}`))
      expect(row).toHaveProperty('id')
    tracker.recordCacheHit(`select name from ${table} where id = $1`)
    await tracker.settled()
    const { queries } = tracker.report()
    const point = find(queries, 'select name from')
    expect(point).toMatchObject({
      count: 11,
      rows: 11,
      errors: 0,
      cacheHits: 1,
      database: 'postgres',
      missedMs: 0,
    })
    expect(point?.fingerprint).toMatch(/^[0-9a-f]{16}$/)
    expect(point?.p50Ms).toBeGreaterThan(0)
    expect(point?.totalMs).toBeGreaterThanOrEqual(point?.maxMs ?? Infinity)
    expect(find(queries, 'select nothing')).toMatchObject({ errors: 1, rows: 0 })
    expect(find(queries, 'this is no SQL ?')).toMatchObject({ errors: 1 })
    expect(find(queries, 'select id, name')).toMatchObject({ rows: 100 })
    expect(JSON.stringify(tracker.report())).not.toContain('secret')
    expect(
      tracker.samples(point?.fingerprint ?? '').filter(({ length }) => length === 1),
    ).toHaveLength(5)
    expect(tracker.samples('nowhere')).toEqual([])
  })

  it('shows slow queries with their plan and without their parameters', async () => {
    const tracker = new QueryPerformanceTracker({
      slowMs: 1e-6,
      maxSlowQueries: 3,
      explainEveryMs: 60_000,
    })
    const watching = tracker.watch(database)
    await database.query(`select name from ${table} where name = $1 and id > $2`, ['secret', 5])
    await tracker.settled()
    for (let run = 0; run < 2; run++) await database.query(`select count(*) from ${table}`)
    watching[Symbol.dispose]()
    await tracker.settled()
    const { slow, queries } = tracker.report()
    expect(slow[0]).toMatchObject({
      parameters: ['text(6)', 'number'],
      plan: { root: { relation: { name: table } } },
    })
    expect(slow.slice(1).map(({ plan }) => plan)).toEqual([undefined, undefined])
    expect(find(queries, 'select name')?.planHash).toMatch(/^[0-9a-f]{16}$/)
    expect(JSON.stringify(tracker.report())).not.toContain('secret')
  })

  it('says why a query is slow, and what to do, by its plan', async () => {
    const big = `${table}_big`
    await database.query(`create table ${big} (id int, name text)`)
    await database.query(`insert into ${big} select i, 'n' || i from generate_series(1, 50000) i`)
    await database.query(`analyze ${big}`)
    const tracker = new QueryPerformanceTracker({ slowMs: 1e-6 })
    using watching = new DisposableStack()
    watching.use(tracker.watch(database))
    await database.query(`select name from ${big} where id = 'secret'::text::int`).catch(() => null)
    await tracker.settled()
    await database.query(`select name from ${big} where id = $1`, [7])
    await tracker.settled()
    const { problems, slow } = tracker.report()
    const problem = problems.find(({ statement }) => statement.includes('id = $1'))
    expect(problem).toMatchObject({ kind: 'slow', sinceMs: expect.any(Number) })
    // Statistics that are counted late may give a further finding.
    const scan = slow.at(-1)?.plan?.findings.find(({ code }) => code === 'sequential-scan')
    expect(scan).toBeDefined()
    expect(problem?.why).toContain(scan?.message)
    expect(problem?.remedy).toContain(scan?.remedy)
    await database.query(`drop table ${big}`)
  })

  it('asks for no plan of what has none, and says why one could not be had', async () => {
    const errors: unknown[] = []
    const onError = (error: unknown): void => void errors.push(error)
    const tracker = new QueryPerformanceTracker({ slowMs: 1e-6, explainEveryMs: 1e-6, onError })
    using watching = new DisposableStack()
    watching.use(tracker.watch(database))
    await database.query('show work_mem')
    await tracker.settled()
    expect(errors).toEqual([])
    await database.query(`create table ${table}_gone (id int)`)
    await tracker.settled()
    const read = database.query(`select 1 from ${table}_gone`)
    await Promise.all([read, read.then(() => database.query(`drop table ${table}_gone`))])
    await tracker.settled()
    expect(tracker.report().slow.filter(({ plan }) => plan !== undefined).length).toBeLessThan(2)
  })

  it('notices what a request sends again and again, and only in requests', async () => {
    const told: unknown[] = []
    const tracker = new QueryPerformanceTracker({
      repeatedFrom: 3,
      onRepeated: (one) => told.push(one),
    })
    using watching = new DisposableStack()
    watching.use(tracker.watch(database))
    const read = (id: number): Promise<unknown> =>
      database.query(`select name from ${table} where id = $1`, [id])
    await read(0)
    await tracker.settled()
    const ids = [1, 2, 3, 4, 5]
    await Promise.all([
      tracker.request('GET /posts', () => Promise.all(ids.map(read))),
      tracker.request('GET /post', () => read(1)),
      ...ids.map(read),
    ])
    await tracker.settled()
    expect(told).toMatchObject([{ request: 'GET /posts', count: 3 }])
    expect(tracker.report().repeated).toMatchObject([
      { request: 'GET /posts', count: 5, statement: `select name from ${table} where id = $1` },
    ])
  })

  it('saves a baseline and reads it again', async () => {
    const tracker = new QueryPerformanceTracker()
    using watching = new DisposableStack()
    watching.use(tracker.watch(database))
    await database.query(`select 1 from ${table} where name = 'secret'`)
    const path = join(tmpdir(), `${table}.json`)
    await tracker.saveBaseline(path)
    const loaded = await QueryPerformanceTracker.loadBaseline(path)
    await rm(path)
    expect(loaded.queries).toHaveLength(1)
    expect(loaded.queries[0]).toMatchObject({
      count: 1,
      statement: `select $1 from ${table} where name = $2`,
    })
  })
})

describeWithMongo('QueryPerformanceTracker of a MongoManager', () => {
  it('counts operations by shape, with documents, failures and repetition, and no value', async () => {
    await using database = new MongoManager({
      url: inject('mongoUrl'),
      database: uniqueName('tracked'),
    })
    const tracker = new QueryPerformanceTracker({ slowMs: 1e-6, repeatedFrom: 3 })
    const watching = tracker.watch(database)
    await database.insertMany('users', [{ name: 'secret' }, { name: 'other' }])
    await tracker.request('GET /users', async () => {
      for (const name of ['secret', 'other', 'nobody']) await database.find('users', { name })
    })
    await database.find('users', { $nothing: 'secret' }).catch(() => undefined)
    watching[Symbol.dispose]()
    await database.find('users')
    const report = tracker.report()
    const found = find(report.queries, 'find users {name:?}')
    expect(found).toMatchObject({ database: 'mongodb', count: 3, rows: 2, errors: 0, slow: 3 })
    expect(find(report.queries, 'find users {$nothing:?}')).toMatchObject({ errors: 1 })
    expect(find(report.queries, 'insertMany users')).toMatchObject({ rows: 2 })
    expect(find(report.queries, 'find users {}')).toBeUndefined()
    expect(report.repeated).toMatchObject([{ request: 'GET /users', count: 3 }])
    expect(JSON.stringify(report)).not.toContain('secret')
    await database.database.dropDatabase()
  })
})

function find(queries: readonly TrackedQuery[], part: string): TrackedQuery | undefined {
  return queries.find(({ statement }) => statement.includes(part))
}
