/** A column's type, domains already resolved to what lies under them. */
export type ColumnType =
  | { readonly kind: 'base'; readonly oid: number }
  | { readonly kind: 'enum'; readonly oid: number }
  | ArrayType
  | { readonly kind: 'other'; readonly oid: number }

export interface ArrayType {
  readonly kind: 'array'
  readonly oid: number
  readonly element: ColumnType
  /** The element's type as it was declared, which the binary form names: a domain stays one. */
  readonly elementOid: number
  /** What stands between elements in the text form: `,` for all but `box`. */
  readonly delimiter: string
}

/** What the catalog says of one type and, for an array, of its elements. */
export interface TypeRow {
  readonly oid: number
  readonly kind: string
  readonly declared_element: number | null
  readonly element_oid: number | null
  readonly element_kind: string | null
  readonly delimiter: string | null
}

/**
 * A query that adds {@link TypeRow} to each row of `wanted (n, name, declared, extra)`, by `n`. Domains
 * may stand on domains, and arrays on either: both are walked down to the first type that is none.
 */
export function typesOf(wanted: string): string {
  return `
with recursive wanted as (${wanted}), walk as (
  select n, t.oid, t.typtype, t.typbasetype, t.typelem, 0 as depth,
         null::oid as declared_element, null::"char" as delimiter
  from wanted join pg_type t on t.oid = declared
  union all
  select n, t.oid, t.typtype, t.typbasetype, t.typelem,
         case when walk.typtype = 'd' then depth else 1 end,
         case when walk.typtype = 'd' then declared_element else t.oid end,
         case when walk.typtype = 'd' then delimiter else t.typdelim end
  from walk join pg_type t
    on t.oid = case when walk.typtype = 'd' then walk.typbasetype else walk.typelem end
  where walk.typtype = 'd' or (walk.depth = 0 and t.typarray = walk.oid)
)
select w.name, w.extra, c.oid::int8::float8 as oid,
       c.typtype as kind, e.declared_element::int8::float8 as declared_element, e.oid::int8::float8 as element_oid,
       e.typtype as element_kind, e.delimiter
from wanted w
  join walk c on c.n = w.n and c.depth = 0 and c.typtype <> 'd'
  left join walk e on e.n = w.n and e.depth = 1 and e.typtype <> 'd'
order by w.n`
}

export function columnType(row: TypeRow): ColumnType {
  const { oid, kind, declared_element, element_oid, element_kind, delimiter } = row
  if (element_oid === null) return scalarType(oid, kind)
  return {
    kind: 'array',
    oid,
    element: scalarType(element_oid, element_kind),
    elementOid: declared_element ?? element_oid,
    delimiter: delimiter ?? ',',
  }
}

function scalarType(oid: number, kind: string | null): ColumnType {
  if (kind === 'b') return { kind: 'base', oid }
  if (kind === 'e') return { kind: 'enum', oid }
  return { kind: 'other', oid }
}
