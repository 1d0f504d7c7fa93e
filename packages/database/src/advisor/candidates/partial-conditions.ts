import type { Predicate } from '../analysis/statement-shape.ts'
import { distinctValues, type ColumnFacts } from '../catalog/catalog.ts'
import type { WorkloadEntry } from '../workload/workload.ts'
import type { Constants } from './constants.ts'
import type { IndexForm } from './index-form.ts'

/** A condition that an index can be limited to. */
export interface PartialCondition {
  readonly sql: string
  readonly columns: readonly ColumnFacts[]
  /** Rows that meet it, as a part of all. */
  readonly fraction: number
}

/** A partial index for each of many values would be as many indexes. */
const MAX_DISTINCT = 100
/** Rows that it leaves out at least, as a part of all. */
const MIN_SAVED = 0.3

/** The condition of a partial index that a predicate gives, if one pays. */
export function partialCondition(
  predicate: Predicate,
  entry: WorkloadEntry,
  constants: Constants,
): PartialCondition | undefined {
  const { kind, key } = predicate
  const sql = conditionSql(predicate, entry, constants)
  if (sql === undefined) return undefined
  const { column } = key
  if (kind === 'equal') {
    // Nobody knows how many values an expression has.
    if (column === undefined || distinctValues(key.use.table, column) > MAX_DISTINCT)
      return undefined
  }
  const fraction = fractionOf(predicate, constants.of(entry, predicate))
  if (fraction > 1 - MIN_SAVED) return undefined
  return { sql, columns: key.columns, fraction }
}

/** Comparisons that no NULL meets. */
const STRICT: ReadonlySet<Predicate['kind']> = new Set(['equal', 'in', 'join', 'range', 'prefix'])

/**
 * The index without the rows whose first key is NULL, where those are many: what is compared with a value
 * is none of them.
 */
export function withoutNulls(
  form: IndexForm,
  predicates: readonly Predicate[],
): IndexForm | undefined {
  const [first] = form.keys
  const [column, ...others] = first?.columns ?? []
  if (first === undefined || first.isExpression || column === undefined || others.length > 0)
    return undefined
  const isStrict = predicates.some(({ kind, key }) => key.sql === first.sql && STRICT.has(kind))
  if (!isStrict || column.nullFraction < MIN_SAVED) return undefined
  return {
    ...form,
    predicate: `${first.sql} IS NOT NULL`,
    fraction: 1 - column.nullFraction,
    predicateColumns: [column],
  }
}

function conditionSql(
  predicate: Predicate,
  entry: WorkloadEntry,
  constants: Constants,
): string | undefined {
  const { kind, key } = predicate
  if (kind === 'is-null') return `${key.sql} IS NULL`
  if (kind === 'not-null') return `${key.sql} IS NOT NULL`
  if (kind === 'is-true') return key.sql
  if (kind === 'is-false') return `NOT ${key.sql}`
  const value = kind === 'equal' ? constants.of(entry, predicate) : undefined
  return value === undefined ? undefined : `${key.sql} = ${value}`
}

function fractionOf({ kind, key }: Predicate, value: string | undefined): number {
  const { column } = key
  if (column === undefined) return 0.1
  if (kind === 'is-null') return column.nullFraction
  if (kind === 'not-null') return 1 - column.nullFraction
  const text = kind === 'is-true' ? 't' : kind === 'is-false' ? 'f' : unquoted(value ?? '')
  const at = column.commonValues.indexOf(text === 'true' ? 't' : text === 'false' ? 'f' : text)
  return column.commonFrequencies[at] ?? 1 / distinctValues(key.use.table, column)
}

function unquoted(sql: string): string {
  const text = sql.replace(/::[\w.[\]]+$/, '')
  return text.startsWith("'") ? text.slice(1, -1).replaceAll("''", "'") : text
}
