import {
  knownStatement,
  parseStatement,
  parseTree,
  SqlSyntaxError,
  visitNodes,
  type ParsedStatement,
  type TableName,
} from '@dharma/database/sql'
import { describe, expect, it } from 'vitest'

const named = (tables: readonly TableName[]): string[] =>
  tables.map(({ schema, name }) => (schema === undefined ? name : `${schema}.${name}`)).toSorted()

const outline = ({ kind, reads, writes, isReadOnly }: ParsedStatement): unknown[] => [
  kind,
  named(reads).join(' '),
  named(writes).join(' '),
  isReadOnly,
]

/** Text, kind, tables read, tables written, read-only. */
const CORPUS: readonly (readonly [string, string, string, string, boolean])[] = [
  ['select 1', 'select', '', '', true],
  ['values (1), (2)', 'select', '', '', true],
  ['table app.posts', 'select', 'app.posts', '', true],
  ['select * from a join b on a.x = b.x left join c using (y)', 'select', 'a b c', '', true],
  ['select * from "Mixed Case"', 'select', 'Mixed Case', '', true],
  [
    'select (select max(x) from s) from t where exists (select from u)',
    'select',
    's t u',
    '',
    true,
  ],
  [
    'select * from a union all (select * from b except select * from c)',
    'select',
    'a b c',
    '',
    true,
  ],
  ['select * from t, lateral (select * from u where u.id = t.id) v', 'select', 't u', '', true],
  ['select * from t where x = any (array(select y from u))', 'select', 't u', '', true],
  [
    'select * from t order by (select 1 from o) limit (select 2 from l)',
    'select',
    'l o t',
    '',
    true,
  ],
  [
    'select count(*) filter (where x in (select y from f)) over w from t window w as (partition by (select 1 from p))',
    'select',
    'f p t',
    '',
    true,
  ],
  ['with t as (select * from a) select * from t', 'select', 'a', '', true],
  ['with t as (select * from t) select * from t', 'select', 't', '', true],
  [
    'with recursive t as (select 1 union select * from t join e on true) select * from t',
    'select',
    'e',
    '',
    true,
  ],
  ['with t as (select 1) select * from app.t', 'select', 'app.t', '', true],
  ['with a as (select * from b), b as (select 1) select * from a, b', 'select', 'b', '', true],
  ['select * from (with t as (select 1 from x) select * from t) q, t', 'select', 't x', '', true],
  ['with d as (delete from old returning *) select * from d', 'select', 'old', 'old', false],
  ['select * from t for update', 'select', 't', '', false],
  ['select * from (select * from t for share) q', 'select', 't', '', false],
  ['select * into n from t', 'ddl', 't', 'n', false],
  ['insert into t values (1)', 'insert', '', 't', false],
  [
    'insert into t select * from u on conflict (id) do update set x = (select y from v)',
    'insert',
    'u v',
    't',
    false,
  ],
  ['with t as (select 1) insert into t select * from t', 'insert', '', 't', false],
  ['update t set x = u.x from u where t.id = u.id', 'update', 't u', 't', false],
  ['delete from only app.t using u where u.id = t.id', 'delete', 'app.t u', 'app.t', false],
  [
    'merge into t using s on t.id = s.id when matched then delete when not matched then insert values (s.id)',
    'merge',
    's t',
    't',
    false,
  ],
  ['truncate a, app.b cascade', 'truncate', '', 'a app.b', false],
  ['copy t from stdin', 'copy', '', 't', false],
  ['copy t to stdout', 'copy', 't', '', false],
  ['copy (select * from a) to stdout', 'copy', 'a', '', false],
  ['refresh materialized view concurrently m', 'refresh', '', 'm', false],
  ['create table n as select * from t', 'ddl', 't', 'n', false],
  ['explain select * from t', 'explain', 't', '', true],
  ['explain analyze delete from t', 'explain', 't', 't', false],
  ['alter table t add column x int', 'ddl', '', '', false],
  ['set search_path to app', 'set', '', '', false],
  ['discard all', 'set', '', '', false],
  ['show all', 'show', '', '', true],
  ['begin', 'transaction', '', '', false],
  ['call p(1)', 'call', '', '', false],
  ['do $$ begin delete from t; end $$', 'do', '', '', false],
  ['execute s(1)', 'prepared', '', '', false],
  ['listen c', 'notify', '', '', false],
  ['lock table t', 'lock', 't', '', false],
  ['vacuum t', 'maintenance', '', '', false],
  ['select 1 from a; delete from b', 'several', 'a b', 'b', false],
  ['-- nothing', 'empty', '', '', true],
]

describe('parseStatement', () => {
  it.each(CORPUS)('understands %s', async (text, kind, reads, writes, isReadOnly) => {
    expect(outline(await parseStatement(text))).toEqual([kind, reads, writes, isReadOnly])
  })

  it('gives statements that differ in constants, blanks and comments one fingerprint', async () => {
    const one = await parseStatement("select a from t where b = 'secret' and c in (1, 2)")
    const other = await parseStatement("select a /* x */ from t\nwhere b = 'other' and c in (3)")
    const different = await parseStatement('select a from t where b = $1 or c in ($2)')
    expect(one.fingerprint).toMatch(/^[0-9a-f]{16}$/)
    expect(other.fingerprint).toBe(one.fingerprint)
    expect(different.fingerprint).not.toBe(one.fingerprint)
  })

  it('leaves no constant in the normalized text', async () => {
    const { normalized } = await parseStatement("select 'secret', 42 from t where a = $1")
    expect(normalized).toBe('select $2, $3 from t where a = $1')
  })

  it('names functions with their numbers of arguments, and the language’s own by their keywords', async () => {
    const { functions } = await parseStatement(
      'select app.f(1, 2), count(*), current_date, localtimestamp(3), f() from t tablesample system (1)',
    )
    const names = functions.map(({ schema, name, argumentCount }) => [schema, name, argumentCount])
    expect(names).toEqual([
      ['app', 'f', 2],
      [undefined, 'count', 0],
      [undefined, 'current_date', 0],
      [undefined, 'localtimestamp', 0],
      [undefined, 'f', 0],
      [undefined, 'tablesample', 0],
    ])
  })

  it('sees functions in arguments, filters, orders and ranges', async () => {
    const { functions } = await parseStatement(
      'select sum(g(x) order by h(y)) filter (where i(z)) over (order by j(w)) from k(1) as q where exists (select l())',
    )
    expect(functions.map(({ name }) => name).toSorted()).toEqual([
      'g',
      'h',
      'i',
      'j',
      'k',
      'l',
      'sum',
    ])
  })

  it('names operators, those of ORDER BY USING and subqueries among them', async () => {
    const { operators } = await parseStatement(
      'select a ~~ b, c operator(app.@@@) d from t where e <= all (select 1) order by f using <',
    )
    expect([...operators].toSorted()).toEqual(['<', '<=', '@@@', '~~'])
  })

  it('tells constants, and those that PostgreSQL reads as a time that moves', async () => {
    const facts = async (text: string): Promise<boolean[]> => {
      const { hasConstants, hasMovingConstant } = await parseStatement(text)
      return [hasConstants, hasMovingConstant]
    }
    expect(await facts('select a from t where b = $1')).toEqual([false, false])
    expect(await facts("select a from t where b = 'x'")).toEqual([true, false])
    expect(await facts("select a from t where b > 'Today'::date")).toEqual([true, true])
    expect(await facts("select a from t where b > 'now'")).toEqual([true, true])
    expect(await facts(`select '${'it is a long way, and now it ends. '.repeat(4)}'`)).toEqual([
      true,
      false,
    ])
  })

  it('names CTEs and tells the steps of transactions', async () => {
    expect((await parseStatement('with a as (select 1), "B" as (select 2) select 3')).ctes).toEqual(
      ['a', 'B'],
    )
    const { controls } = await parseStatement(
      'begin; savepoint s; rollback to s; release s; commit; rollback; start transaction',
    )
    expect(controls.map(({ action, savepoint }) => [action, savepoint])).toEqual([
      ['begin', undefined],
      ['savepoint', 's'],
      ['rollback to', 's'],
      ['release', 's'],
      ['commit', undefined],
      ['rollback', undefined],
      ['begin', undefined],
    ])
  })

  it('tells what outlasts the transaction among settings', async () => {
    const sets = async (text: string): Promise<boolean> => (await parseStatement(text)).setsSession
    expect(await sets('set timezone to utc')).toBe(true)
    expect(await sets('reset all')).toBe(true)
    expect(await sets('set local timezone to utc')).toBe(false)
    expect(await sets('set transaction read only')).toBe(false)
  })

  it('remembers statements, and forgets those not used lately', async () => {
    const text = 'select remembered from t'
    expect(knownStatement(text)).toBeUndefined()
    const statement = await parseStatement(text)
    expect(knownStatement(text)).toBe(statement)
    for (let index = 0; index < 400; index++) await parseStatement(`select ${index}`)
    // Being looked up made it young again.
    expect(knownStatement(text)).toBe(statement)
    for (let index = 0; index < 1_001; index++) await parseStatement(`select ${index} + 1`)
    expect(knownStatement(text)).toBeUndefined()
  }, 30_000)

  it('does not remember a text of more than 32 KiB', async () => {
    const text = `select '${'x'.repeat(40_000)}'`
    await parseStatement(text)
    expect(knownStatement(text)).toBeUndefined()
  })

  it('refuses what PostgreSQL refuses, without quoting it', async () => {
    const error = await parseStatement("select 'a' from where 'secret'").catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(SqlSyntaxError)
    expect(error).toMatchObject({ code: 'DHARMA_SQL_SYNTAX', position: 16 })
    expect((error as Error).message).toBe('SQL syntax error at character 16')
  })

  it('refuses zeros and texts that are too long, and bears deep nesting', async () => {
    await expect(parseStatement("select '\0'")).rejects.toMatchObject({ position: 8 })
    await expect(parseStatement(`select '${'x'.repeat(4_200_000)}'`)).rejects.toThrow(
      /^an SQL text must have 4194304 bytes at most, got 4200009$/,
    )
    const deep = (depth: number): string => `select ${'('.repeat(depth)}1${')'.repeat(depth)}`
    await expect(parseStatement(deep(30_000))).rejects.toBeInstanceOf(SqlSyntaxError)
    expect(await parseStatement(deep(500))).toMatchObject({ kind: 'select' })
  })

  it('reads halves of surrogate pairs as the server would get them', async () => {
    expect(await parseStatement("select '\uD800' from t")).toMatchObject({ kind: 'select' })
  })
})

describe('visitNodes', () => {
  it('visits parents first, typed by kind, and keeps out where told to', async () => {
    const tree = await parseTree('select a, (select b from u) from t where c = 1')
    const columns: string[] = []
    const tables: string[] = []
    visitNodes(tree, {
      ColumnRef: ({ fields = [] }) => {
        const [field] = fields
        if (field !== undefined && 'String' in field) columns.push(field.String.sval ?? '')
      },
      RangeVar: ({ relname = '' }) => void tables.push(relname),
      SubLink: () => false,
    })
    expect(columns).toEqual(['a', 'c'])
    expect(tables).toEqual(['t'])
  })
})
