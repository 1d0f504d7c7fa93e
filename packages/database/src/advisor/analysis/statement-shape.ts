import type { ColumnFacts, TableFacts } from '../catalog/catalog.ts'

/** A column, or an expression over columns, of one table: what an index may have as a key. */
export interface Key {
  readonly use: TableUse
  /** As SQL writes it without the table's name: `"city"`, `lower(email)`, `(attrs ->> 'k'::text)`. */
  readonly sql: string
  /** The column itself; `undefined` for an expression. */
  readonly column: ColumnFacts | undefined
  /** All columns in it. */
  readonly columns: readonly ColumnFacts[]
}

/** What a key is compared with. `sql` is the literal as SQL writes it. */
export type Value =
  | { readonly kind: 'literal'; readonly sql: string; readonly text: string }
  | { readonly kind: 'parameter'; readonly number: number }
  | { readonly kind: 'unknown' }

export type PredicateKind =
  | 'equal'
  | 'in'
  | 'join'
  | 'range'
  | 'prefix'
  | 'suffix'
  | 'infix'
  | 'insensitive'
  | 'contains'
  | 'has-key'
  | 'overlaps'
  | 'has-element'
  | 'is-null'
  | 'not-null'
  | 'is-true'
  | 'is-false'

/** A condition on one key that rows must meet, together with the others or as an arm of an OR. */
export interface Predicate {
  readonly kind: PredicateKind
  readonly key: Key
  readonly values: readonly Value[]
}

export interface SortKey {
  readonly key: Key
  readonly isDescending: boolean
  /** Whether nulls come where PostgreSQL would not put them by itself. */
  readonly hasOtherNulls: boolean
}

/** One place in a statement that reads a table. */
export interface TableUse {
  readonly table: TableFacts
  readonly alias: string
  readonly predicates: Predicate[]
  /** Each OR: its arms, each with all its conditions on this table. */
  readonly ors: (readonly (readonly Predicate[])[])[]
  /** Order asked of this table's rows alone. */
  readonly sort: SortKey[]
  readonly group: Key[]
  /** Columns that the statement reads. */
  readonly columns: Set<string>
  /** Whether all columns are read, so that no index can cover it. */
  isStar: boolean
  hasLimit: boolean
}

/** A mention of a table in the text. */
export interface TableMention {
  readonly table: TableFacts
  /** In UTF-8 bytes, where its name, or its schema's, begins. */
  readonly location: number
  readonly hasAlias: boolean
}

/** What an index advisor wants to know of a statement. */
export interface StatementShape {
  readonly uses: readonly TableUse[]
  readonly mentions: readonly TableMention[]
  /** The table written to, and, for an UPDATE, the columns that it sets. */
  readonly writes: readonly TableWrite[]
}

export interface TableWrite {
  readonly table: TableFacts
  readonly kind: 'insert' | 'update' | 'delete'
  readonly columns: readonly string[]
}
