import { describeWithPostgres } from '@dharma/testkit/vitest'
import { beforeAll, expect, it } from 'vitest'
import { cachedQueriesBed } from './cached-queries-bed.ts'

/** Bodies of triggers that write `audit`, in ways that a look at the text may not notice. */
const HIDDEN = {
  'a quoted name': `new.word := "write it"();`,
  'a name that is no ASCII': `new.word := é();`,
  'a field that is a function': `new.word := (new).written;`,
  'a name of the server, taken by the user': `new.word := reverse_it.lower(1);`,
  'such a name without its schema': `new.word := lower(new.id);`,
  'an operator of the user': `new.word := new.id @@@ new.id;`,
  'a cast of the user': `new.coin := new.id;`,
  'an escaped quote': String.raw`new.word := E'\''; insert into audit values ('x');`,
  'a dollar quote': `new.word := $q$it's$q$; insert into audit values ('x');`,
  'a nested comment': `/* /* */ ' */ insert into audit values ('x');`,
  'a comment that ends at a carriage return': `-- so\rinsert into audit values ('x');`,
}

describeWithPostgres.each([15, 18])('Writes that do not look so, PostgreSQL %i', (version) => {
  const bed = cachedQueriesBed(version)
  const audit = 'select count(*)::int as n from audit'

  beforeAll(async () => {
    const writing = `language sql as $$ insert into audit values ('h'); select 'w'::text $$`
    const definitions = [
      `create table hidden (id int, word text, coin coin)`,
      `create table members (id int primary key, first text, last text)`,
      `create table badges (member int references members on delete cascade)`,
      `create function "write it"() returns text ${writing}`,
      `create function é() returns text ${writing}`,
      `create function written(hidden) returns text ${writing}`,
      `create function lower(int) returns text ${writing}`,
      `create function plus(int, int) returns text ${writing}`,
      `create operator @@@ (function = plus, leftarg = int, rightarg = int)`,
      `create function keep(text, text) returns text ${writing}`,
      `create aggregate kept(text) (sfunc = keep, stype = text, initcond = '')`,
      `create function coin_written(text) returns coin language sql as $$ insert into audit values ('c'); select row(1)::coin $$`,
      `create cast (text as coin) with function coin_written(text) as assignment`,
    ]
    for (const text of definitions) await bed.database.query(text)
  })

  it.each(Object.entries(HIDDEN))('of a trigger, by %s, drop results', async (_name, body) => {
    const own = body
      .replace('reverse_it.', `${bed.schema}.`)
      .replace('coin := new.id', `coin := 'x'::text`)
    await bed.database.query(
      `create or replace function hide() returns trigger language plpgsql as $body$ begin ${own} return new; end $body$`,
    )
    await bed.database.query(
      'create or replace trigger hide before insert on hidden for each row execute function hide()',
    )
    const before = await bed.rows(audit)
    const work = (): Promise<unknown> => bed.database.query('insert into hidden (id) values (1)')
    expect(await bed.forgottenBy([audit], work)).toEqual([audit])
    expect(await bed.rows(audit)).not.toEqual(before)
  })

  it('of a statement, by an operator, a cast, a field or an aggregate, drop results', async () => {
    await bed.database.query('drop trigger if exists hide on hidden')
    const texts = [
      `insert into hidden (word) values (1 @@@ 2)`,
      `insert into hidden (coin) values ('x'::text)`,
      `update hidden set word = hidden.written`,
      `select kept(name) from users`,
      `select é()`,
    ]
    for (const text of texts) {
      const before = await bed.rows(audit)
      expect([text, await bed.forgottenBy([audit], () => bed.database.query(text))]).toEqual([
        text,
        [audit],
      ])
      expect(await bed.rows(audit)).not.toEqual(before)
    }
  })

  it('of a WITH on the table of the statement are passed on as they are', async () => {
    const badges = 'select * from badges'
    for (const verb of [
      `insert into members (id) values (2) on conflict do nothing`,
      `update members set first = 'x' where id = 2`,
    ]) {
      await bed.database.query('insert into members (id) values (1)')
      await bed.database.query('insert into badges values (1)')
      const text = `with gone as (delete from members where id = 1) ${verb}`
      expect(await bed.forgottenBy([badges], () => bed.database.query(text))).toEqual([badges])
      expect(await bed.rows(badges)).toEqual([])
    }
  })

  it('do not matter for a field that is a function: its statement is refused', async () => {
    await bed.database.query(
      `create function full_name(members) returns text stable language sql as $$ select string_agg(what, '') from audit $$`,
    )
    for (const text of [
      'select m.full_name from members m',
      'select (m).full_name from members m',
      'select id from members order by members.full_name',
    ]) {
      expect(await bed.queries.explain(text)).toMatchObject({
        kind: 'refused',
        reason: expect.stringContaining('full_name'),
      })
    }
    expect(await bed.queries.explain('select m.first, m.last from members m')).toMatchObject({
      kind: 'cacheable',
    })
  })
})
