import { describe, expect, it } from 'vitest'
import { kindOf } from '../../../src/postgres/pipeline/statement-kind.ts'

describe('kindOf', () => {
  it.each([
    'select 1',
    '  -- a comment; with a semicolon\n select id from t where id = $1;',
    'select count(*), max(a) from t where b in ($1, $2) and c = any($3)',
    'with recent as (select * from t) select * from recent',
    'with recent as materialized (select * from t) select * from recent',
    'values (1), (2)',
    "select 'insert into t; update(x)' as text",
    'select "update" from t',
    'select pg_catalog.lower(name) from t',
    'select $$delete; drop(1)$$',
    '(select 1) union (select 2)',
    'table posts',
  ])('takes for a read: %s', (text) => {
    expect(kindOf(text)).toBe('read')
  })

  it.each([
    'insert into t values ($1)',
    'update t set a = $1 where id = $2',
    'delete from t',
    'with gone as (delete from t returning *) select * from gone',
    'select nextval($1)',
    'select app.count(*) from t',
    'select "app"."count"(1)',
    'select "lower"(name) from t',
    'select own_function(1)',
    'select id from t for update',
    'select id from t for share',
    'select pg_notify($1, $2)',
  ])('takes for a statement that must not be sent twice: %s', (text) => {
    expect(kindOf(text)).toBe('single')
  })

  it.each([
    'begin',
    'commit',
    'set search_path = a',
    'listen a',
    'copy t from stdin',
    'declare c cursor for select 1',
    'fetch 10 from c',
    'create table t (a int)',
    'explain select 1',
    'select 1; select 2',
    'select * into copy_of_t from t',
    "select set_config('a.b', $1, false)",
    'select pg_advisory_lock(1)',
    'select pg_sleep(1)',
    'select lastval()',
    String.raw`select E'\'; drop table t; --'`,
    '',
    '/* nothing */',
  ])('keeps on a session of its own: %s', (text) => {
    expect(kindOf(text)).toBe('session')
  })
})
