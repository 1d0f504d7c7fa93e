import { hash } from 'node:crypto'
import type { ColumnFacts, TableFacts } from '../catalog/catalog.ts'
import { redactLiterals } from '../../postgres/index.ts'

export type IndexMethod = 'btree' | 'gin' | 'brin'

/** One key of an index. */
export interface IndexKey {
  /** As an index definition has it; a call or an operator stands in parentheses. */
  readonly sql: string
  readonly columns: readonly ColumnFacts[]
  readonly isExpression: boolean
  readonly operatorClass?: string | undefined
  readonly isDescending?: boolean | undefined
  readonly hasOtherNulls?: boolean | undefined
}

/** An index that could be. */
export interface IndexForm {
  readonly table: TableFacts
  readonly method: IndexMethod
  readonly keys: readonly IndexKey[]
  readonly include: readonly ColumnFacts[]
  /** The condition of a partial index. */
  readonly predicate: string | undefined
  /** Rows that meet the condition, as a part of all; 1 without one. */
  readonly fraction: number
  /** Columns of the condition. */
  readonly predicateColumns: readonly ColumnFacts[]
}

const MAX_NAME_BYTES = 63

/** What tells an index from others on its table. */
export function signatureOf(form: IndexForm): string {
  return `${form.table.quoted} ${bodyOf(form)}`
}

/** The name that the index gets: always the same for the same index. */
export function indexNameOf(form: IndexForm): string {
  const columns = form.keys.flatMap((key) => key.columns.map(({ name }) => name))
  const words = ['dharma', form.table.name, ...new Set(columns)].join('_')
  const stem = words.toLowerCase().replaceAll(/[^a-z0-9_]+/g, '_')
  const end = `_${hash('sha256', signatureOf(form), 'hex').slice(0, 8)}`
  return stem.slice(0, MAX_NAME_BYTES - end.length) + end
}

export interface DefinitionOptions {
  /** The table as SQL writes it, if it is another than the form's. */
  readonly table?: string
  readonly name?: string
  /** @default false */
  readonly isConcurrent?: boolean
  /** Whether literals of its keys and its condition are replaced by `?`. @default false */
  readonly isRedacted?: boolean
}

/** `CREATE INDEX …` */
export function definitionOf(form: IndexForm, options: DefinitionOptions = {}): string {
  const { table = form.table.quoted, isConcurrent = false, isRedacted = false } = options
  const { name = indexNameOf(form) } = options
  const words = `CREATE INDEX ${isConcurrent ? 'CONCURRENTLY ' : ''}${name} ON ${table}`
  const body = bodyOf(form)
  return `${words} ${isRedacted ? redactLiterals(body) : body}`
}

function bodyOf({ method, keys, include, predicate }: IndexForm): string {
  const rest = include.length === 0 ? '' : ` INCLUDE (${include.map(quotedOf).join(', ')})`
  const where = predicate === undefined ? '' : ` WHERE ${predicate}`
  return `USING ${method} (${keys.map(keySql).join(', ')})${rest}${where}`
}

function quotedOf({ quoted }: ColumnFacts): string {
  return quoted
}

function keySql({
  sql,
  isExpression,
  operatorClass,
  isDescending,
  hasOtherNulls,
}: IndexKey): string {
  const parts = [isExpression ? `(${sql})` : sql]
  if (operatorClass !== undefined) parts.push(operatorClass)
  if (isDescending === true) parts.push('DESC')
  if (hasOtherNulls === true) parts.push(isDescending === true ? 'NULLS LAST' : 'NULLS FIRST')
  return parts.join(' ')
}

/** All columns whose change changes the index. */
export function columnsOf({ keys, include, predicateColumns }: IndexForm): ReadonlySet<string> {
  const all = [...keys.flatMap(({ columns }) => columns), ...include, ...predicateColumns]
  return new Set(all.map(({ name }) => name))
}
