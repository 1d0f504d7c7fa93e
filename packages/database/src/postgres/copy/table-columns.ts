import { columnType, typesOf, type ColumnType, type TypeRow } from './column-types.ts'
import type { CopyLine } from './copy-line.ts'

/** A column that can be written. */
export interface TableColumn {
  readonly name: string
  readonly type: ColumnType
  /** Its type as a cast from text names it, without length or precision. */
  readonly castName: string
  /** Whether only `overriding system value` lets INSERT write it. */
  readonly isAlwaysIdentity: boolean
}

interface ColumnRow extends TypeRow {
  readonly name: string
  readonly extra: { readonly cast: string; readonly identity: string }
}

/** Generated columns are left out, since nothing may be written to them. */
const COLUMNS = typesOf(`
  select attnum::int as n, attname::text as name, atttypid as declared,
         json_build_object('cast', format_type(atttypid, -1), 'identity', attidentity) as extra
  from pg_attribute
  where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = ''`)

/**
 * The columns of a table, in its own order.
 *
 * @param table as one would write it in SQL: `posts`, `app.posts`, `"Posts"`
 */
export async function readTableColumns(line: CopyLine, table: string): Promise<TableColumn[]> {
  const rows = await line.query<ColumnRow>(COLUMNS, [table])
  return rows.map((row) => ({
    name: row.name,
    type: columnType(row),
    castName: row.extra.cast,
    isAlwaysIdentity: row.extra.identity === 'a',
  }))
}
