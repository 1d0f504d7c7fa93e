import { PostgresManager } from '@dharma/database/postgres'
import { CachedQueries, NotCacheableError } from '@dharma/database/query-cache'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'
import { cachedQueriesBed, ttl } from './cached-queries-bed.ts'

describeWithPostgres.each([15, 18])('what CachedQueries refuses, PostgreSQL %i', (version) => {
  const bed = cachedQueriesBed(version)
  const { schema } = bed

  it.each([
    ['select now() from users', 'function now depends on the moment or the session'],
    ['select current_date from users', 'current_date depends on the moment or the session'],
    ['select random() from users', 'function pg_catalog.random is volatile'],
    [
      'select age(timestamptz $$2020-01-01$$) from users',
      'function age depends on the moment or the session',
    ],
    [
      `select * from users where 'today'::date > '2020-01-01'`,
      'a constant such as now or today moves with time',
    ],
    ['select * from users for update', 'it locks rows'],
    [
      'select * from users tablesample system (10)',
      'tablesample depends on the moment or the session',
    ],
    ['select * from dated', 'function now depends on the moment or the session'],
    ['select * from pg_class', 'pg_catalog.pg_class belongs to the system'],
    ['select * from information_schema.tables', 'information_schema.tables belongs to the system'],
    ['select * from guarded', `rows of ${schema}.guarded depend on who asks`],
    ['select roll() from users', `function ${schema}.roll is volatile`],
    [
      'select total(id) from users',
      `function ${schema}.total may read any table: declare those that it reads`,
    ],
    ['select nowhere(1)', 'the server knows no function nowhere'],
    ['select * from nowhere', 'the server knows no table nowhere'],
    ['delete from users', 'it is no SELECT but of the kind delete'],
    ['with d as (delete from users returning 1) select * from d', 'it writes'],
  ])('refuses %s', async (text, reason) => {
    await expect(bed.queries.query(text, [], ttl)).rejects.toThrow(new NotCacheableError(reason))
    expect(await bed.queries.explain(text)).toEqual({ kind: 'refused', reason })
  })

  it('refuses casts by functions that are not immutable, also where nobody wrote the cast', async () => {
    const reason = 'the cast to coin has a function that is not immutable'
    const explicit = 'select id::coin from users'
    expect(await bed.queries.explain(explicit)).toEqual({ kind: 'refused', reason })
    expect(await bed.queries.explain('select id::text from users')).toMatchObject({
      kind: 'cacheable',
    })
    await bed.database.query('drop cast (int as coin)')
    await bed.database.query('create cast (int as coin) with function coin_of(int) as implicit')
    expect(await bed.queries.explain('select id from users')).toEqual({ kind: 'refused', reason })
    await bed.database.query('drop cast (int as coin)')
    await bed.database.query('create cast (int as coin) with function coin_of(int)')
  })

  it('refuses operators of stable functions, and what is no table', async () => {
    await bed.database.query(
      'create operator === (function = counts_tags, leftarg = int, rightarg = int)',
    )
    expect(await bed.queries.explain('select * from users where id === 1')).toMatchObject({
      reason: 'operator === has a function that is not immutable',
    })
    expect(await bed.queries.explain('select * from counter')).toMatchObject({
      reason: `changes of ${schema}.counter cannot be seen: it is no table of this server`,
    })
    await bed.database.query('drop operator === (int, int)')
  })

  it('refuses temporary tables', async () => {
    const single = new PostgresManager({
      url: bed.url,
      pool: { max: 1 },
      pipeline: false,
    })
    await using temporary = new CachedQueries(single, bed.cache)
    await single.query('create temporary table passing (id int)')
    await expect(temporary.query('select * from passing', [], ttl)).rejects.toThrow(
      'table passing is temporary',
    )
    await single.close()
  })

  it('runs what is refused each time, if told to', async () => {
    await using bypassing = new CachedQueries(bed.database, bed.cache, { onRefused: 'bypass' })
    const first = await bypassing.query<{ x: number }>('select random() as x', [], ttl)
    const second = await bypassing.query<{ x: number }>('select random() as x', [], ttl)
    expect(first.rows[0]?.x).not.toBe(second.rows[0]?.x)
    expect(bypassing.stats()).toMatchObject({ bypassed: 2, reads: 0 })
  })

  it('asks the server for parameters that are read as a moving time', async () => {
    const text = 'select $1::date::text as day from users limit 1'
    await bed.queries.query(text, ['today'], ttl)
    await bed.queries.query(text, ['today'], ttl)
    expect(bed.queries.stats()).toMatchObject({ bypassed: 2, reads: 0 })
  })
})
