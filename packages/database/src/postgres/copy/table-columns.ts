import type { ClientBase } from 'pg'

/** A column's type, domains already resolved to what lies under them. */
export type ColumnType =
  | { readonly kind: 'base'; readonly oid: number }
  | { readonly kind: 'enum'; readonly oid: number }
  | { readonly kind: 'array'; readonly oid: number; readonly element: ColumnType }
  | { readonly kind: 'other'; readonly oid: number }

/** A column that can be written. */
export interface TableColumn {
  readonly name: string
  readonly type: ColumnType
}

interface ColumnRow {
  readonly name: string
  readonly oid: number
  readonly kind: string
  readonly element_oid: number | null
  readonly element_kind: string | null
}

/**
 * Domains may stand on domains, and arrays on either: both are walked down to the first type that is
 * no domain. Generated columns are left out, since nothing may be written to them.
 */
const COLUMNS = `
with recursive column_type as (
  select a.attnum, a.attname, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory
  from pg_attribute a join pg_type t on t.oid = a.atttypid
  where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  union all
  select c.attnum, c.attname, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory
  from column_type c join pg_type t on t.oid = c.typbasetype where c.typtype = 'd'
), element_type as (
  select c.attnum, e.oid, e.typtype, e.typbasetype
  from column_type c join pg_type e on e.oid = c.typelem
  where c.typtype <> 'd' and c.typcategory = 'A'
)
select c.attname as name, c.oid::int8::float8 as oid, case when c.typcategory = 'A' then 'a' else c.typtype end as kind,
       e.oid::int8::float8 as element_oid, e.typtype as element_kind
from column_type c left join element_type e using (attnum)
where c.typtype <> 'd'
order by c.attnum`

/**
 * The columns of a table, in its own order.
 *
 * @param table as one would write it in SQL: `posts`, `app.posts`, `"Posts"`
 */
export async function readTableColumns(client: ClientBase, table: string): Promise<TableColumn[]> {
  const { rows } = await client.query<ColumnRow>(COLUMNS, [table])
  return rows.map((row) => ({ name: row.name, type: columnType(row) }))
}

function columnType({ oid, kind, element_oid, element_kind }: ColumnRow): ColumnType {
  if (kind === 'a' && element_oid !== null) {
    return { kind: 'array', oid, element: scalarType(element_oid, element_kind) }
  }
  return scalarType(oid, kind)
}

function scalarType(oid: number, kind: string | null): ColumnType {
  if (kind === 'b') return { kind: 'base', oid }
  if (kind === 'e') return { kind: 'enum', oid }
  return { kind: 'other', oid }
}
