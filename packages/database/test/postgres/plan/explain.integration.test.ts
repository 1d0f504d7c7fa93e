import { createMetrics } from '@dharma/core/metrics'
import {
  PostgresManager,
  redactLiterals,
  renderExplanation,
  type Explanation,
  type FindingCode,
} from '@dharma/database/postgres'
import { startPostgres, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CASES, type Case } from './plan-cases.ts'

describeWithPostgres.each([15, 18])('explain on PostgreSQL %i', (version) => {
  let server: TestServer
  let database: PostgresManager

  beforeAll(async () => {
    server = await startPostgres({
      version,
      settings: { autovacuum: 'off', max_parallel_workers_per_gather: 0, jit: 'off' },
    })
    database = await new PostgresManager({ url: server.url }).connect()
    await database.query(
      `create table posts (id int primary key, likes int, city int, country int, body text);
       insert into posts select i, i % 1000, i % 10, i % 10, 'some text that takes room ' || i from generate_series(1, 40000) i;
       create index on posts (likes) where likes < 991 and country >= 0;
       create table sparse (v int, body text) with (fillfactor = 10);
       insert into sparse select i, 'some text' from generate_series(1, 40000) i;
       create index on sparse (v);
       create table few as select i as id from generate_series(1, 500) i;
       create table documents as select i as id,
         to_tsvector('simple', case when i % 100 = 0 then 'common again' else 'again is common' end) as words from generate_series(1, 20000) i;
       create index on documents using gin (words);
       create table unvacuumed (id int primary key, body text);
       insert into unvacuumed select i, 'some text that takes room' from generate_series(1, 40000) i;
       analyze unvacuumed;
       create table unknown as select i as id from generate_series(1, 1000) i;
       create table changed as select i as id from generate_series(1, 100) i;
       analyze changed;
       insert into changed select i from generate_series(1, 5000) i`,
    )
    // What is counted late would seem to have changed after.
    await database.query('select pg_stat_force_next_flush()')
    for (const table of ['posts', 'few', 'documents', 'sparse'])
      await database.query(`vacuum analyze ${table}`)
  })

  afterAll(async () => {
    await database.close()
    await server.close()
  })

  async function explain({ text, settings = {}, analyze = true }: Case): Promise<Explanation> {
    const names = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
    const url = new URL(server.url)
    if (names.length > 0) url.searchParams.set('options', names.join(' '))
    await using planner = new PostgresManager({ url: url.href, pool: { max: 1 } })
    return await planner.explain(text, [], { analyze })
  }

  it.each(CASES)('finds %s where it is, and not where it is not: %#', async (code, has, hasNot) => {
    const codesOf = ({ findings }: Explanation): FindingCode[] => findings.map((one) => one.code)
    const there = await explain(has)
    expect(codesOf(there)).toContain(code)
    const notThere = await explain(hasNot)
    expect(codesOf(notThere)).not.toContain(code)
  })

  it('finds compilation that took most of the time, and none where it is off', async () => {
    const text =
      'select sum(likes + city * country), count(body || id::text) from posts where likes > 5 and city < 20'
    const settings = {
      jit: 'on',
      jit_above_cost: '0',
      jit_inline_above_cost: '0',
      jit_optimize_above_cost: '0',
    }
    const plan = await explain({ text, settings })
    // Not every build of the server can compile.
    const isCompiled = plan.jit !== undefined
    expect(plan.findings.some(({ code }) => code === 'jit-cost')).toBe(isCompiled)
    const without = await explain({ text })
    expect(without.jit).toBeUndefined()
    expect(without.findings.map(({ code }) => code)).not.toContain('jit-cost')
  })

  it('plans without running, and runs writes only to undo them', async () => {
    const write = 'update posts set likes = -1 where id = $1'
    const planned = await database.explain(write, [1])
    expect(planned).toMatchObject({ isAnalyzed: false, executionMs: undefined })
    expect(planned.root).toMatchObject({ type: 'ModifyTable', actual: undefined })
    const run = await database.explain(write, [1], { analyze: true })
    expect(run.isAnalyzed).toBe(true)
    expect(run.root.children[0]?.actual).toMatchObject({ rows: 1, loops: 1 })
    const { rows } = await database.query('select count(*)::int as n from posts where likes < 0')
    expect(rows).toEqual([{ n: 0 }])
  })

  it('undoes a write that fails, and serves on', async () => {
    const text = 'insert into posts (id) values (1)'
    await expect(database.explain(text, [], { analyze: true })).rejects.toMatchObject({
      sqlState: '23505',
    })
    expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('counts in the metrics apart from all else', async () => {
    const metrics = createMetrics()
    await using counted = new PostgresManager({ url: server.url, metrics, name: 'explained' })
    await counted.explain('select 1')
    await counted.explain('select nothing').catch(() => undefined)
    const countOf = (operation: string): unknown => {
      const seconds = metrics.read('dharma_postgres_operation_seconds')
      const series = seconds?.kind === 'histogram' ? seconds.series : []
      return series.find(({ labelValues }) => labelValues[1] === operation)?.count
    }
    expect(countOf('explain')).toBe(2)
    expect(countOf('copy')).toBe(0)
    expect(metrics.read('dharma_postgres_operation_errors_total')).toMatchObject({
      series: expect.arrayContaining([{ labelValues: ['explained', 'explain'], value: 1 }]),
    })
  })

  it('refuses a second statement, which would be run', async () => {
    await expect(database.explain('select 1; drop table posts')).rejects.toThrow('one statement')
    expect((await database.explain(`select ';' /* ; */ ; -- end`)).root.type).toBe('Result')
  })

  it('hides literal values unless asked', async () => {
    const text = `select * from posts where body = 'secret 5' and likes > 12`
    const hidden = JSON.stringify(await database.explain(text))
    expect(hidden).not.toMatch(/secret|12/)
    expect(hidden).toContain('posts.likes > ?')
    const shown = JSON.stringify(await database.explain(text, [], { redact: false }))
    expect(shown).toContain('secret 5')
  })

  it('reads triggers and the time of each step', async () => {
    await database.query(
      `create table parents (id int primary key); insert into parents values (1);
       create table children (parent int references parents)`,
    )
    const plan = await database.explain(
      'insert into children select 1 from generate_series(1, 5)',
      [],
      {
        analyze: true,
      },
    )
    expect(plan.triggers).toMatchObject([{ name: 'children_parent_fkey', calls: 5 }])
    expect(plan.planningMs).toBeGreaterThan(0)
  })

  it('shows the tree as text, each finding under its step', async () => {
    const text = renderExplanation(
      await database.explain('select * from posts p where p.likes = 17 order by id', [], {
        analyze: true,
      }),
    )
    expect(text).toMatch(/Seq Scan on posts as p {2}\(.* ms, 40 rows, \d+ expected, cost/)
    expect(text).toMatch(/\n.*Filter: \(p\.likes = \?\)\n.*! high: all 40,000 rows of posts/)
    expect(text).toMatch(/→ an index on posts that serves/)
    expect(text).toMatch(/run in [\d.]+ ms\n\d finding/)
    const plain = renderExplanation(await database.explain('select 1'))
    expect(plain).toMatch(/^Result {2}\(1 expected, cost [\d.]+\)\nnothing found$/)
  })

  it('knows parallel workers that read one table together', async () => {
    const settings = {
      max_parallel_workers_per_gather: '2',
      parallel_setup_cost: '0',
      parallel_tuple_cost: '0',
      min_parallel_table_scan_size: '0',
      work_mem: '64kB',
    }
    const scan = await explain({ text: 'select * from posts where likes = 17', settings })
    expect(scan.findings.map(({ code }) => code)).toContain('sequential-scan')
    const sort = await explain({ text: 'select * from posts order by body', settings })
    expect(sort.findings.map(({ code }) => code)).toContain('sort-spilled')
  })
})

describe('redactLiterals', () => {
  it.each([
    [`(a.c1 = 'it''s'::text)`, '(a.c1 = ?::text)'],
    [`("year 2000" > 5 AND b < -1.5e3)`, '("year 2000" > ? AND b < ?)'],
    [`(x = ANY ('{1,2}'::integer[]))`, '(x = ANY (?::integer[]))'],
    [`(y = $1 AND t2.z = $0)`, '(y = $1 AND t2.z = $0)'],
    [`(s = E'a\\\\b')`, '(s = ?)'],
  ])('%s', (given, wanted) => {
    expect(redactLiterals(given)).toBe(wanted)
  })
})
