import { CachedQueries } from '@dharma/database/query-cache'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'
import { cachedQueriesBed } from './cached-queries-bed.ts'

describeWithPostgres.each([15, 18])('CachedQueries, PostgreSQL %i', (version) => {
  const bed = cachedQueriesBed(version)
  const { schema, rows, isLoaded, forgottenBy } = bed

  it('gives a result from the cache until its table is written', async () => {
    const text = 'select name from users where id = $1'
    expect(await rows(text, [1])).toEqual([{ name: 'ada' }])
    expect(await isLoaded(text, [1])).toBe(false)
    await bed.database.query('update users set name = $2 where id = $1', [1, 'eve'])
    expect(await rows(text, [1])).toEqual([{ name: 'eve' }])
  })

  it('keeps parameters apart by value and type', async () => {
    const text = 'select $1::text as x from users'
    await rows(text, [1])
    expect(await isLoaded(text, ['1'])).toBe(true)
    expect(await isLoaded(text, [1])).toBe(false)
  })

  it('keeps statements apart that have the same fingerprint', async () => {
    expect(await rows('select id from users order by id limit 1')).toHaveLength(1)
    expect(await rows('select id from users order by id limit 2')).toHaveLength(2)
    expect(await rows('select id as a from users where id = 1')).toEqual([{ a: 1 }])
    expect(await rows('select id as b from users where id = 1')).toEqual([{ b: 1 }])
    const swapped = ['$1::int - $2::int', '$2::int - $1::int'].map(
      (term) => `select ${term} as x from users limit 1`,
    )
    expect(await Promise.all(swapped.map((text) => rows(text, [3, 1])))).toEqual([
      [{ x: 2 }],
      [{ x: -2 }],
    ])
  })

  it('drops what reads the table that was written, and nothing else', async () => {
    const texts = ['select * from users', 'select * from tags']
    expect(
      await forgottenBy(texts, () => bed.database.query(`insert into tags values (2, 'blue')`)),
    ).toEqual(['select * from tags'])
    expect(
      await forgottenBy(texts, () => bed.database.query('select * from tags for update')),
    ).toEqual([])
    expect(
      await forgottenBy(texts, () =>
        bed.database.query('with d as (delete from tags returning 1) select * from d'),
      ),
    ).toEqual(['select * from tags'])
  })

  it('tells tables of one name in different schemas apart', async () => {
    const texts = ['select * from tags', `select * from ${schema}_other.tags`]
    const write = `insert into ${schema}_other.tags values (5, 'x')`
    expect(await forgottenBy(texts, () => bed.database.query(write))).toEqual([texts[1]])
  })

  it('looks through views and CTEs', async () => {
    const texts = [
      'select * from titles',
      'with u as (select * from users), p as (select * from u) select * from p',
      'with users as (select * from tags) select * from users',
    ]
    expect(await bed.queries.explain('select * from titles')).toMatchObject({
      tables: [`${schema}.posts`, `${schema}.users`],
    })
    expect(
      await forgottenBy(texts, () => bed.database.query(`update users set name = 'x'`)),
    ).toEqual(texts.slice(0, 2))
    expect(
      await forgottenBy(texts, () => bed.database.query(`update tags set name = 'x'`)),
    ).toEqual(texts.slice(2))
  })

  it('follows writes through foreign keys, and an insert through none', async () => {
    const texts = ['users', 'posts', 'likes', 'bookmarks', 'notes', 'tags'].map(
      (name) => `select * from ${name}`,
    )
    const names = async (work: string): Promise<string[]> => {
      const forgotten = await forgottenBy(texts, () => bed.database.query(work))
      return forgotten.map((text) => text.slice('select * from '.length))
    }
    expect(await names(`insert into users values (9, 'x')`)).toEqual(['users', 'notes'])
    expect(await names('delete from users where id = 9')).toEqual([
      'users',
      'posts',
      'likes',
      'bookmarks',
    ])
    expect(await names('update users set id = id')).toEqual(['users', 'notes'])
    expect(await names('delete from posts where id = 9')).toEqual(['posts', 'likes', 'bookmarks'])
    expect(await names('truncate posts cascade')).toEqual(['posts', 'likes', 'bookmarks'])
    expect(await names('truncate tags')).toEqual(['tags'])
  })

  it('follows partitions and inheritance in both directions', async () => {
    const texts = ['events', 'events_2025', 'events_2026', 'animals', 'cats'].map(
      (name) => `select * from ${name}`,
    )
    const insert = (into: string) => () => bed.database.query(`insert into ${into}`)
    expect(await forgottenBy(texts, insert(`events_2025 values (1, '2025-05-05')`))).toContain(
      'select * from events',
    )
    expect(await forgottenBy(texts, insert(`events values (1, '2026-05-05')`))).toContain(
      'select * from events_2026',
    )
    expect(await forgottenBy(texts, insert(`cats values ('tom')`))).toEqual([
      'select * from animals',
      'select * from cats',
    ])
  })

  it('takes a materialized view as it was refreshed', async () => {
    const texts = ['select * from summary']
    expect(await forgottenBy(texts, () => bed.database.query('delete from tags'))).toEqual([])
    expect(
      await forgottenBy(texts, () => bed.database.query('refresh materialized view summary')),
    ).toEqual(texts)
  })

  it('writes to a view are writes to its tables', async () => {
    await bed.database.query('create or replace view editable as select * from tags')
    const texts = ['select * from tags', 'select * from users']
    expect(
      await forgottenBy(texts, () => bed.database.query(`update editable set name = 'v'`)),
    ).toEqual(texts.slice(0, 1))
  })

  it('sees COPY, streams of writes and procedures', async () => {
    const texts = ['select * from plain', 'select * from tags']
    const copy = () => bed.database.copyInto('plain', [[1], [2]])
    expect(await forgottenBy(texts, copy)).toEqual(texts.slice(0, 1))
    const stream = async (): Promise<void> => {
      for await (const row of bed.database.stream('delete from plain returning id'))
        expect(row).toHaveProperty('id')
    }
    expect(await forgottenBy(texts, stream)).toEqual(texts.slice(0, 1))
    expect(await forgottenBy(texts, () => bed.database.query('call write_tags()'))).toEqual(texts)
  })

  it('drops everything where triggers, rules, functions or blocks may write anything', async () => {
    const texts = ['select * from audit', 'select * from tags']
    for (const text of [
      'insert into loud values (1)',
      'insert into ruled values (1)',
      'select roll()',
      'do $$ begin insert into audit values (1); end $$',
    ]) {
      expect(await forgottenBy(texts, () => bed.database.query(text))).toEqual(texts)
    }
    expect(Object.keys(bed.queries.stats().wide)).toEqual([
      `triggers, rules or defaults of ${schema}.loud may write any table: declare those that they write`,
      `triggers, rules or defaults of ${schema}.ruled may write any table: declare those that they write`,
      `function ${schema}.roll is volatile and may write any table`,
      'a statement of the kind do may write any table',
    ])
  })

  it('believes what is declared of triggers and functions, and sees that some triggers write nothing', async () => {
    await bed.queries.close()
    bed.use(
      new CachedQueries(bed.database, bed.cache, {
        declared: {
          triggerWrites: { loud: ['audit'] },
          functionWrites: { [`${schema}.write_audit`]: ['audit'] },
        },
      }),
    )
    const texts = ['select * from audit', 'select * from tags', 'select * from stamped']
    expect(
      await forgottenBy(texts, () => bed.database.query('insert into loud values (1)')),
    ).toEqual(texts.slice(0, 1))
    expect(await forgottenBy(texts, () => bed.database.query('select write_audit()'))).toEqual(
      texts.slice(0, 1),
    )
    expect(
      await forgottenBy(texts, () => bed.database.query('insert into stamped values (1)')),
    ).toEqual(texts.slice(2))
  })

  it('looks at the functions of defaults, constraints and domains when a table is written', async () => {
    const kindOf = async (table: string): Promise<string> =>
      (await bed.queries.explainWrite(`insert into ${table} (name) values ('x')`)).kind
    expect(await kindOf('numbered')).toBe('anything')
    expect(await kindOf('checked')).toBe('anything')
    expect(await kindOf('of_own')).toBe('anything')
    expect(await kindOf('tokened')).toBe('tables')
    const texts = ['select * from audit', 'select * from tags']
    expect(
      await forgottenBy(texts, () =>
        bed.database.query(`insert into numbered (name) values ('x')`),
      ),
    ).toEqual(texts)
    expect(
      await forgottenBy(texts, () => bed.database.query(`insert into tokened (name) values ('x')`)),
    ).toEqual([])
  })

  it('reads generated columns from the cache until their table is written', async () => {
    const text = 'select twice from computed'
    expect(
      await forgottenBy([text], () => bed.database.query('insert into computed values (3)')),
    ).toEqual([text])
    expect(await rows(text)).toEqual([{ twice: 6 }])
  })

  it('takes what cannot be told apart to have written anything', async () => {
    const kinds = async (text: string): Promise<string> =>
      (await bed.queries.explainWrite(text)).kind
    expect(await kinds('select 1; delete from tags')).toBe('schema')
    expect(await kinds('select 1; select 2')).toBe('nothing')
    expect(await kinds(`commit prepared 'x'`)).toBe('anything')
    expect(await kinds('call nowhere()')).toBe('anything')
    expect(await kinds('execute something')).toBe('anything')
    expect(await kinds('set work_mem = 100')).toBe('nothing')
    expect(await kinds('insert into nowhere values (1)')).toBe('nothing')
    expect(await kinds('merge into tags using users on false when matched then do nothing')).toBe(
      'tables',
    )
  })

  it('drops everything when definitions change, and plans anew', async () => {
    const text = 'select * from changing'
    await bed.database.query('create view changing as select 1 as x from tags')
    expect(await rows(text)).toEqual([{ x: 1 }])
    await bed.database.query('drop view changing')
    await bed.database.query('create view changing as select 2 as x from users')
    expect(await rows(text)).toEqual([{ x: 2 }, { x: 2 }])
    await bed.database.query('drop view changing')
    await expect(rows(text)).rejects.toThrow('the server knows no table changing')
  })

  it('takes immutable functions, aggregates, and stable functions that are declared', async () => {
    const texts = [
      'select add_one(id) from users',
      `select count(*), string_agg(name, ','), percentile_cont(0.5) within group (order by id), to_char(max(id), '9') from users`,
      'select tag_count() from users',
    ]
    expect(await forgottenBy(texts, () => bed.database.query('delete from tags'))).toEqual(
      texts.slice(2),
    )
  })

  it('joins callers that ask for the same at once', async () => {
    await bed.queries.explain('select count(*) from users')
    const before = bed.queries.stats().loads
    await Promise.all(Array.from({ length: 50 }, () => rows('select count(*) from users')))
    expect(bed.queries.stats().loads - before).toBe(1)
  })
})
