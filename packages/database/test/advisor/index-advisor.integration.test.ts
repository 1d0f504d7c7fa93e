import { IndexAdvisor, Workload, type Advice } from '@dharma/database/advisor'
import { startPostgres, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { EXPERT, QUERIES, SETUP, TABLES, type KnownQuery } from './social-database.ts'

/** The shortest of so many runs counts, as it is the least disturbed. */
const RUNS_BEFORE = 3
const ROUNDS = 15

describeWithPostgres('the index advisor on a workload with known answers', () => {
  let server: TestServer
  let client: Client
  let advice: Advice

  beforeAll(async () => {
    server = await startPostgres({
      version: 15,
      settings: {
        autovacuum: 'off',
        max_parallel_workers_per_gather: 0,
        jit: 'off',
        shared_buffers: '512MB',
        maintenance_work_mem: '512MB',
      },
    })
    client = new Client({ connectionString: server.url })
    await client.connect()
    await client.query(SETUP)
    for (const table of TABLES) await client.query(`vacuum analyze ${table}`)
    const { rows } = await client.query("select from pg_available_extensions where name = 'hypopg'")
    // Without it all indexes are built on copies, and the answers must be the same.
    if (rows.length > 0) await client.query('create extension hypopg')
    else if (process.env['CI'] === 'true')
      throw new Error('HypoPG is missing: install postgresql-15-hypopg')
    else
      console.warn(
        'HypoPG is missing: all indexes are verified on copies. Install postgresql-15-hypopg.',
      )
    await client.query('begin')
    const { times: measured } = await measure(RUNS_BEFORE)
    await client.query('rollback')
    const records = QUERIES.map((query, at) => ({ ...query, meanMs: measured[at] }))
    const workload = await Workload.from(records)
    advice = await new IndexAdvisor(client, { copiesTables: true }).advise(workload)
  }, 400_000)

  afterAll(async () => {
    await client.end()
    await server.close()
  })

  /** The least time of each statement over so many runs, and the plans of the last. */
  async function measure(runs: number): Promise<{ times: number[]; plans: string }> {
    const times = QUERIES.map(() => Infinity)
    let plans = ''
    for (const [at, { text }] of QUERIES.entries()) {
      for (let run = 0; run < runs; run++) {
        const { plan, ms } = await runOnce(text)
        times[at] = Math.min(times[at] ?? Infinity, ms)
        if (run === runs - 1) plans += plan
      }
    }
    return { times, plans }
  }

  async function runOnce(text: string): Promise<{ plan: string; ms: number }> {
    await client.query('savepoint run')
    const { rows } = await client.query<{ 'QUERY PLAN': [{ 'Execution Time': number }] }>(
      `explain (analyze, timing off, format json) ${text}`,
    )
    await client.query('rollback to savepoint run')
    const plan = rows[0]?.['QUERY PLAN']
    return { plan: JSON.stringify(plan), ms: plan?.[0]['Execution Time'] ?? Infinity }
  }

  async function builtIndexes(): Promise<{ name: string; bytes: number }[]> {
    const { rows } = await client.query<{ name: string; bytes: number }>(
      `select i.indexrelid::regclass::text as name, pg_relation_size(i.indexrelid)::float8 as bytes
       from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ('app', 'stats') and not i.indisprimary`,
    )
    return rows
  }

  /**
   * Weighted times and sizes of two sets. Both are built, and measured by turns, the other dropped in a
   * transaction that is undone, so that whatever else the machine does slows down both alike.
   */
  async function compare(
    ...sets: readonly (readonly string[])[]
  ): Promise<{ ms: number; bytes: number; plans: string }[]> {
    const built: { name: string; bytes: number }[][] = []
    for (const definitions of sets) {
      const known = new Set((await builtIndexes()).map(({ name }) => name))
      for (const definition of definitions) await client.query(definition)
      built.push((await builtIndexes()).filter(({ name }) => !known.has(name)))
    }
    for (const table of TABLES) await client.query(`vacuum analyze ${table}`)
    const results = sets.map(() => ({ times: QUERIES.map(() => Infinity), plans: '' }))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [at, result] of results.entries()) {
        const others = built.filter((_, index) => index !== at).flat()
        await client.query('begin')
        await client.query(`drop index ${others.map(({ name }) => name).join(', ')}`)
        const { times, plans } = await measure(1)
        await client.query('rollback')
        result.times = result.times.map((time, index) => Math.min(time, times[index] ?? Infinity))
        result.plans += plans
      }
    }
    return results.map(({ times, plans }, at) => {
      const ms = times.reduce((sum, time, index) => sum + time * (QUERIES[index]?.calls ?? 0), 0)
      const bytes = built[at]?.reduce((sum, one) => sum + one.bytes, 0) ?? Infinity
      return { ms, bytes, plans }
    })
  }

  it('finds at least nine of ten known answers', () => {
    const isFound = ({ expected }: KnownQuery): boolean => {
      return advice.indexes.some((one) => expected.test(one.toSql()))
    }
    const missed = QUERIES.filter((query) => !isFound(query)).map(({ text }) => text)
    expect(missed.slice(Math.floor(QUERIES.length / 10))).toEqual([])
  })

  it('advises on nothing that the planner does not use, and is as good as an expert', async () => {
    const [own, expert] = await compare(
      advice.indexes.map((one) => one.toSql()),
      EXPERT,
    )
    if (own === undefined || expert === undefined) throw new Error('two sets were compared')
    console.info(`of the expert's: time ${own.ms / expert.ms}, size ${own.bytes / expert.bytes}`)
    for (const { name } of advice.indexes) expect(own.plans).toContain(name)
    expect(own.ms).toBeLessThanOrEqual(expert.ms * 1.05)
    expect(own.bytes).toBeLessThanOrEqual(expert.bytes)
  }, 300_000)
})
