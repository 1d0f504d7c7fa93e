import { checkTableName, quoteIdentifier } from './identifiers.ts'
import type { QueryOptions, QueryResult } from './session.ts'

/** What identifies a row. */
export type PointKey = string | number | bigint

export interface LoadManyOptions extends QueryOptions {
  /** Columns read, the key's included in any case. @default all */
  readonly columns?: readonly string[]
}

/** What can run a statement. */
export interface StatementTarget {
  query<Row>(
    text: string,
    values: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>>
}

/** More keys than this go in several statements. */
const MAX_KEYS = 1_000

/** The statement that reads the rows of an array of keys. @throws RangeError when a name is none */
export function loadStatement(
  table: string,
  keyColumn: string,
  columns: readonly string[] | undefined,
): string {
  const key = quoteIdentifier(keyColumn)
  const list =
    columns === undefined
      ? '*'
      : [...new Set([keyColumn, ...columns])].map((name) => quoteIdentifier(name)).join(', ')
  return `select ${list} from ${checkTableName(table)} where ${key} = any($1)`
}

/** The rows of `keys`, in their order, `undefined` where there is none. */
export async function loadMany<Row>(
  target: StatementTarget,
  table: string,
  keyColumn: string,
  keys: readonly PointKey[],
  { columns, ...options }: LoadManyOptions,
): Promise<(Row | undefined)[]> {
  const text = loadStatement(table, keyColumn, columns)
  const chunks: Promise<(Row | undefined)[]>[] = []
  for (let from = 0; from < keys.length; from += MAX_KEYS) {
    const chunk = keys.slice(from, from + MAX_KEYS)
    chunks.push(loadRows<Row>(target, text, keyColumn, chunk, options))
  }
  return (await Promise.all(chunks)).flat()
}

/** One statement's worth of {@link loadMany}; `text` is made by {@link loadStatement}. */
export async function loadRows<Row>(
  target: StatementTarget,
  text: string,
  keyColumn: string,
  keys: readonly PointKey[],
  options: QueryOptions,
): Promise<(Row | undefined)[]> {
  const { rows } = await target.query<Row>(text, [keys], options)
  const byKey = new Map<string, Row>()
  for (const row of rows) byKey.set(keyOf(row, keyColumn), row)
  const found = keys.map((key) => byKey.get(String(key)))
  const matched = new Set(found)
  if (rows.every((row) => matched.has(row))) return found
  // The server takes for equal what is written differently, such as a uuid in capitals.
  return Promise.all(
    found.map(async (row, index) => {
      if (row !== undefined) return row
      return (await target.query<Row>(text, [[keys[index]]], options)).rows[0]
    }),
  )
}

function keyOf(row: unknown, keyColumn: string): string {
  return String((row as Record<string, unknown>)[keyColumn])
}
