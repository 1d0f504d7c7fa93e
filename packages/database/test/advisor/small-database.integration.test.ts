import {
  IndexAdvisor,
  Workload,
  workloadOfStatStatements,
  type Advice,
  type IndexAdvisorOptions,
  type WorkloadRecord,
} from '@dharma/database/advisor'
import { createPostgresDatabase, type FreshDatabase } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'

describeWithPostgres('the index advisor without HypoPG', () => {
  let database: FreshDatabase
  let client: Client

  beforeAll(async () => {
    database = await createPostgresDatabase(inject('postgresUrl'), 'advisor')
    client = new Client({ connectionString: database.url })
    await client.connect()
    await client.query(`
      create table orders (id int primary key, customer int not null, state text not null, tags text[] not null,
        note text, at timestamp not null, parent int, body text not null);
      insert into orders select i, (i * 79) % 4000, case when i % 50 = 0 then 'open' else 'done' end,
        array['t' || i % 500], null, timestamp '2025-01-01' + i * interval '1 minute', nullif(i % 100, 0), repeat('x', 300)
        from generate_series(1, 40000) i;
      create index state_id on orders (state, id); create index state_only on orders (state);
      create index twin on orders (at); create index other_twin on orders (at);
      create index lonely on orders (note);
      create table "Odd Name" as select i as "Key", i % 900 as "Some Value" from generate_series(1, 20000) i;
      create table parts (id int, k int) partition by range (id)`)
    await client.query('vacuum analyze orders')
    await client.query('analyze "Odd Name"')
  })

  afterAll(async () => {
    await client.end()
    await database.drop()
  })

  async function advise(
    records: readonly WorkloadRecord[],
    options: IndexAdvisorOptions = {},
  ): Promise<Advice> {
    return new IndexAdvisor(client, options).advise(await Workload.from(records))
  }

  it('marks what it only estimates', async () => {
    const advice = await advise([{ text: 'select id from orders where customer = 77', calls: 10 }])
    expect(advice.indexes).toMatchObject([
      { table: 'orders', verification: 'estimate', confidence: 'low', isSizeMeasured: false },
    ])
    expect(advice.indexes[0]?.definition).toMatch(
      /^CREATE INDEX CONCURRENTLY dharma_orders_customer_\w{8} ON public\.orders USING btree \(customer\)/,
    )
    expect(advice.indexes[0]?.undo).toMatch(/^DROP INDEX CONCURRENTLY public\.dharma_orders_cust/)
    expect(advice.limits.join()).toContain('nothing could be verified')
    expect(advice.msAfter).toBeLessThan(advice.msBefore)
  })

  it('verifies on copies that are gone afterwards, and measures their size', async () => {
    const texts = [
      "select id from orders where tags @> array['t7']",
      'select id from orders where customer = $1',
      'select id from "Odd Name" o join orders x on x.id = o."Key" where "Some Value" = 7',
    ]
    const records = texts.map((text) => ({ text, calls: 100, meanMs: 20, samples: [] }))
    const advice = await advise(records, { copiesTables: true, maxCopyRows: 30_000 })
    const definitions = advice.indexes.map(({ definition }) => definition).join('\n')
    expect(definitions).toMatch(/orders USING gin \(tags\)/)
    expect(definitions).toMatch(/orders USING btree \(customer\)/)
    expect(definitions).toMatch(/"Odd Name" USING btree \("Some Value"/)
    expect(advice.indexes.every((one) => one.verification === 'sampled-copy')).toBe(true)
    expect(advice.indexes.every((one) => one.isSizeMeasured)).toBe(true)
    const { rows } = await client.query("select from pg_namespace where nspname like 'dharma_adv%'")
    expect(rows).toEqual([])
  })

  it('limits an index to a value only where nearly all samples have it', async () => {
    const text = 'select at from orders where state = $1 order by at limit 5'
    const run = async (samples: string[][]): Promise<string> => {
      const options = { copiesTables: true, maxCopyRows: 100_000 }
      await client.query('drop index if exists twin, other_twin')
      const advice = await advise([{ text, calls: 100, meanMs: 20, samples }], options)
      return advice.indexes.map((one) => one.toSql()).join()
    }
    const open = Array.from({ length: 30 }, () => ['open'])
    expect(await run(open)).toContain("WHERE state = 'open'")
    expect(await run([...open.slice(0, 20), ['done'], ['done']])).not.toContain('WHERE')
    await client.query('create index twin on orders (at); create index other_twin on orders (at)')
  })

  it('counts the writes that an index costs', async () => {
    const read = { text: 'select id from orders where customer = 77', calls: 10, meanMs: 5 }
    const write = { text: 'insert into orders values (1)', calls: 1_000_000 }
    const update = { text: 'update orders set customer = 1 where id = 1', calls: 50 }
    const { indexes } = await advise([read, update])
    expect(indexes[0]).toMatchObject({ writeBasis: 'workload' })
    expect(indexes[0]?.writeMs).toBeGreaterThan(0)
    expect((await advise([read, write])).indexes).toEqual([])
    const counted = await advise([read], { workloadSeconds: 60 })
    expect(counted.indexes.every((one) => one.writeBasis === 'statistics')).toBe(true)
  })

  it('stays within a budget of size', async () => {
    const text = 'select id from orders where customer = 77'
    expect((await advise([{ text, calls: 1_000 }], { maxSizeBytes: 10_000 })).indexes).toEqual([])
  })

  it('says which indexes only cost', async () => {
    const { drops } = await advise([], { minUnusedSeconds: 0 })
    const reasons = Object.fromEntries(drops.map(({ name, reason }) => [name, reason]))
    expect(reasons).toMatchObject({ state_only: 'prefix', lonely: 'unused' })
    expect([reasons['twin'], reasons['other_twin']]).toContain('duplicate')
    expect(reasons['orders_pkey']).toBeUndefined()
    const old = await advise([], { minUnusedSeconds: 1e12 })
    expect(old.drops.map(({ reason }) => reason)).not.toContain('unused')
  })

  it.each([
    [
      'function-on-column',
      `select id from orders where date_trunc('day', at) = '2025-01-07'::timestamp`,
      /at >= \$1::timestamp and at < \$2::timestamp \+ interval \$3/,
    ],
    [
      'function-on-column',
      `select id from orders where at::date = '2025-01-07' and id > 3`,
      /at >= \$1::date and at < \$2::date \+ interval \$3 and id > \$4/,
    ],
    [
      'cast-on-column',
      `select id from orders where customer::text = '7'`,
      /customer = \(\$1\)::integer/,
    ],
    ['cast-on-column', 'select id from orders where customer = 7.0', /customer = \(\$1\)::integer/],
    [
      'leading-wildcard',
      `select id from orders where note like '%x'`,
      /reverse\(note\) like reverse\(\$1\)/,
    ],
    [
      'any-of-array',
      `select id from orders where 't7' = any(tags)`,
      /tags @> array\[\$1\]::text\[\]/,
    ],
    [
      'not-in-subquery',
      'select id from orders where id not in (select o.parent from orders o where o.customer = 5)',
      /where not exists \(select from orders o where o\.parent = orders\.id and \(o\.customer = \$1\)\)/,
    ],
    [
      'offset-paging',
      'select id from orders order by id limit 10 offset 5000',
      /from orders where \(id\) > \(\$1\) order by id limit \$2/,
    ],
    [
      'offset-paging',
      'select id from orders where customer > 3 order by at desc, id desc limit 10 offset $1',
      /customer > \$4 and \(at, id\) < \(\$2, \$3\) order by/,
    ],
    [
      'select-star',
      'select * from orders where id = 7',
      /select id, customer, state, tags, note, at, parent from/,
    ],
    ['missing-limit', 'select id from orders;', /select id from orders limit \$1/],
    [
      'missing-limit',
      'select id from orders where customer = 7 or id > 2',
      /customer = \$1 or id > \$2 limit \$3/,
    ],
  ])('%s: %s', async (code, text, after) => {
    const { rewrites } = await advise([{ text, calls: 5 }])
    const found = rewrites.find((one) => one.code === code)
    expect(found?.after).toMatch(after)
    expect(found?.before).not.toMatch(/2025|5000|'/)
  })

  it('says nothing of statements that are well written', async () => {
    const texts = [
      'select id, at from orders where id = $1',
      'select count(*) from orders',
      'select id from orders where id not in (select o.id from orders o) limit 3',
      'select id from orders order by id limit 10 offset 20',
      'select id from orders where customer = 7 or id in (1, 2)',
    ]
    expect((await advise(texts.map((text) => ({ text })))).rewrites).toEqual([])
  })

  it('plans on without statements that the server refuses, and names them', async () => {
    const advice = await advise([
      { text: 'select nothing_like_it from orders' },
      { text: 'select id from orders where id = 1' },
      { text: 'select k from parts where k = $1' },
    ])
    expect(advice.statements).toMatchObject({ analyzed: 2, unreadable: 0 })
    expect(advice.statements.refused).toHaveLength(1)
    expect(advice.limits.join()).toMatch(/partitioned/)
    expect(advice.limits.join()).toMatch(/1 statements came without values/)
  })

  it('shows no literal of a statement or of an index anywhere', async () => {
    await client.query(`
      create index canary_drop on orders ((body || 'canary-drop')) where state = 'canary-state' and customer > 987654;
      create table documents as select i as id, jsonb_build_object('canary-key', i % 3000) as attrs from generate_series(1, 30000) i;
      analyze documents`)
    const texts = [
      "select at from orders where state = 'open' and customer = 987654 order by at limit 5",
      "select id from orders where body like 'canary%' or customer = 987654",
      "select id from orders where state = 'open' order by at limit 5",
      "select id from documents where attrs ->> 'canary-key' = 'canary-value'",
      "select * from orders where note like '%canary-end' or customer = 987654",
      "select id from orders where date_trunc('day', at) = '2025-01-07'::timestamp and body <> 'canary'",
    ]
    try {
      const records = texts.map((text) => ({ text, calls: 500, meanMs: 30 }))
      const options = { copiesTables: true, maxCopyRows: 4_000, minUnusedSeconds: 0 }
      const advice = await advise(records, options)
      const toRun = [
        ...advice.indexes.map((one) => one.toSql()),
        ...advice.drops.map((one) => one.toUndoSql()),
      ].join('\n')
      // What must be run has them, so that there was something to hide.
      expect(toRun).toMatch(/attrs ->> 'canary-key'/)
      expect(toRun).toContain("'canary-drop'")
      expect(toRun).toContain("WHERE state = 'open'")
      expect(advice.rewrites.length).toBeGreaterThan(0)
      expect(JSON.stringify(advice)).not.toMatch(/987654|canary-(?!drop)|canary'|'open'|2025/)
      expect(JSON.stringify(advice).replaceAll('canary_drop', '')).not.toContain('canary')
    } finally {
      await client.query('drop table documents; drop index canary_drop')
    }
  })

  it('sweeps the copies of an advisor that has crashed, not those of one that runs', async () => {
    const [dead, alive] = ['dharma_advisor_00000000dead', 'dharma_advisor_0000000a11fe']
    const other = new Client({ connectionString: database.url })
    await other.connect()
    try {
      await other.query(`create schema ${dead}; create schema ${alive}`)
      await other.query('select pg_advisory_lock(hashtext($1))', [alive])
      await advise([{ text: 'select id from orders where customer = 77' }], { copiesTables: true })
      const { rows } = await client.query<{ nspname: string }>(
        "select nspname from pg_namespace where nspname like 'dharma_adv%'",
      )
      expect(rows.map(({ nspname }) => nspname)).toEqual([alive])
    } finally {
      await other.query(`drop schema if exists ${alive}; drop schema if exists ${dead}`)
      await other.end()
    }
  })

  it('names what it assumes, and is not sure of it', async () => {
    const text = 'select id from orders where customer = 77'
    const guessed = await advise([{ text, calls: 10 }], { copiesTables: true })
    expect(guessed.limits.join()).toMatch(/costs a write is assumed: 0\.01 ms/)
    expect(guessed.limits.join()).toContain('no statement was measured: a unit of cost is taken')
    expect(guessed.indexes).toMatchObject([{ confidence: 'medium' }])
    const measured = await advise([{ text, calls: 10, meanMs: 9 }], { copiesTables: true })
    expect(measured.limits.join()).not.toContain('no statement was measured')
    expect(measured.indexes).toMatchObject([{ confidence: 'high' }])
  })

  it('ends when it is told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(advise([{ text: 'select id from orders' }], { signal })).rejects.toThrow('enough')
  })

  it('refuses a count of statements that makes no sense', async () => {
    await expect(workloadOfStatStatements(client, { maxStatements: 0 })).rejects.toThrow(
      'maxStatements must be from 1 to 5000, got 0',
    )
  })
})
