import { CopyRowError } from '../errors.ts'
import { checkTableName, quoteIdentifier } from '../identifiers.ts'
import {
  chooseColumns,
  closeSource,
  sendRows,
  type CopyIntoOptions,
  type CopyResult,
} from './copy-into.ts'
import type { CopyLine } from './copy-line.ts'
import { inTransaction } from '../in-transaction.ts'
import { openRowSource, type CopyRows } from './row-source.ts'
import { ServerWatch } from './server-watch.ts'
import { readTableColumns, type TableColumn } from './table-columns.ts'

export interface UpsertManyOptions extends CopyIntoOptions {
  /** The columns of a unique index or the primary key. At least one, all of them written. */
  readonly conflictColumns: readonly string[]
  /** Columns that a row there already takes over. @default all that are written but `conflictColumns` */
  readonly updateColumns?: readonly string[] | undefined
  /** What happens to a row there already. @default 'update' */
  readonly onConflict?: 'update' | 'nothing' | undefined
  /**
   * Which of several rows given with the same key counts; the others are skipped. `reject` stores
   * nothing and throws a CopyRowError that names the first row too many. Keys with a null are
   * never the same, unless the index says so. @default 'last' with `update`, 'first' with `nothing`: as one after the other would have it
   */
  readonly onDuplicate?: 'first' | 'last' | 'reject' | undefined
}

export interface UpsertManyResult {
  readonly inserted: number
  readonly updated: number
  /** Rows given that changed nothing: there already with `nothing`, or a duplicate of another row given. */
  readonly skipped: number
  /** Rows given to `onBadRow`. */
  readonly badRows: number
}

/** Its name is free again after each use, and the same statements can be prepared for it. */
const STAGING = 'pg_temp.dharma_upsert'

interface Upsert {
  readonly line: CopyLine
  readonly table: string
  readonly columns: readonly TableColumn[]
  readonly options: UpsertManyOptions
}

/**
 * Inserts rows, or updates those there already, by COPY to a temporary table and one
 * `INSERT … ON CONFLICT`: all or nothing.
 *
 * @throws CopyRowError, PostgresQueryError, RangeError for columns that do not fit together
 */
export async function upsertRows(
  line: CopyLine,
  table: string,
  rows: CopyRows,
  options: UpsertManyOptions,
): Promise<UpsertManyResult> {
  checkTableName(table)
  using watch = new ServerWatch(line)
  const source = await openRowSource(rows, (step) => watch.forCaller(step))
  if (source.isEmpty) return { inserted: 0, updated: 0, skipped: 0, badRows: 0 }
  try {
    const available = await readTableColumns(line, table)
    const columns = chooseColumns(table, available, source, options.columns)
    checkColumns(columns, options)
    const upsert = { line, table, columns, options }
    return await inTransaction(line, async () => {
      await createStaging(upsert)
      const bad: number[] = []
      const onBadRow: CopyIntoOptions['onBadRow'] =
        options.onBadRow &&
        ((reason, row) => {
          bad.push(reason.index)
          options.onBadRow?.(reason, row)
        })
      const sent = await sendRows({
        line,
        watch,
        table,
        target: STAGING,
        source,
        columns,
        options: { ...options, onBadRow },
      })
      const result = await merge(upsert, sent, bad)
      if (line.isInTransaction) await line.query(`drop table ${STAGING}`)
      return result
    })
  } finally {
    closeSource(source)
  }
}

function checkColumns(
  columns: readonly TableColumn[],
  { conflictColumns, updateColumns = [] }: UpsertManyOptions,
): void {
  if (conflictColumns.length === 0) {
    throw new RangeError('conflictColumns must name at least one column')
  }
  for (const [option, names] of Object.entries({ conflictColumns, updateColumns })) {
    const missing = names.find((name) => !columns.some((column) => column.name === name))
    if (missing !== undefined) {
      throw new RangeError(`${option} names ${missing}, which is not among the columns written`)
    }
  }
}

async function createStaging({ line, table, columns }: Upsert): Promise<void> {
  const list = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const name = STAGING.replace('pg_temp.', '')
  await line.query(
    `create temporary table ${name} on commit drop as select ${list} from ${table} with no data`,
  )
}

interface Counts {
  readonly inserted?: number
  readonly written: number
}

async function merge(
  upsert: Upsert,
  { rows, badRows }: CopyResult,
  bad: readonly number[],
): Promise<UpsertManyResult> {
  const { line, options } = upsert
  const { onConflict = 'update' } = options
  const onDuplicate = options.onDuplicate ?? (onConflict === 'update' ? 'last' : 'first')
  const { folding, isPlain } = await factsOf(upsert)
  if (onDuplicate === 'reject') await rejectDuplicate(upsert, folding, bad)
  const isFolded = onDuplicate === 'last' || (onDuplicate === 'first' && onConflict === 'update')
  const select = isFolded
    ? `distinct on (${folding}) ${listOf(upsert)} from ${STAGING}
       order by ${folding}, ctid ${onDuplicate === 'last' ? 'desc' : ''}`
    : `${listOf(upsert)} from ${STAGING}`
  if (onConflict === 'update' && !isPlain) {
    const there = await countThere(upsert, folding)
    const [counts] = await line.query<Counts>(
      `with written as (${insertStatement(upsert, select)} returning 1)
       select count(*)::float8 as written from written`,
    )
    const { written = 0 } = counts ?? {}
    return { inserted: written - there, updated: there, skipped: rows - written, badRows }
  }
  // A new row has no xmax, an updated one that of the lock that its update took.
  const isNew = onConflict === 'update' ? 'xmax = 0' : 'true'
  const [counts] = await line.query<Counts>(
    `with written as (${insertStatement(upsert, select)} returning ${isNew} as is_new)
     select count(*) filter (where is_new)::float8 as inserted, count(*)::float8 as written from written`,
  )
  const { inserted = 0, written = 0 } = counts ?? {}
  return { inserted, updated: written - inserted, skipped: rows - written, badRows }
}

function listOf({ columns }: Upsert): string {
  return columns.map(({ name }) => quoteIdentifier(name)).join(', ')
}

function insertStatement(upsert: Upsert, select: string): string {
  const { table, columns, options } = upsert
  const { conflictColumns, onConflict = 'update' } = options
  const names = columns.map(({ name }) => name)
  const updateColumns =
    options.updateColumns ?? names.filter((name) => !conflictColumns.includes(name))
  const assignments = updateColumns.map((name) => {
    return `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`
  })
  const action =
    onConflict === 'nothing' || assignments.length === 0
      ? 'nothing'
      : `update set ${assignments.join(', ')}`
  const overriding = columns.some((column) => column.isAlwaysIdentity)
    ? 'overriding system value'
    : ''
  const keys = conflictColumns.map(quoteIdentifier).join(', ')
  return `insert into ${table} (${listOf(upsert)}) ${overriding} select ${select}
          on conflict (${keys}) do ${action}`
}

/** Whether the table is one of itself, and whether the index that decides holds two nulls for the same. */
const FACTS = `
  select relkind = 'r' as "isPlain", exists (select from pg_index i
  where indrelid = $1::text::regclass and indisunique and indnullsnotdistinct and indnkeyatts = cardinality($2::text[])
    and not exists (
      select from unnest(i.indkey[0:indnkeyatts - 1]) as key
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key
      where a.attname is null or a.attname <> all ($2::text[]))) as "areNullsEqual"
  from pg_class where oid = $1::text::regclass`

interface Facts {
  /** What rows with the same key have in common, as expressions in SQL. */
  readonly folding: string
  /** Whether the table says of a row that it is new: one of partitions, or a view, does not. */
  readonly isPlain: boolean
}

async function factsOf({ line, table, options }: Upsert): Promise<Facts> {
  const { conflictColumns } = options
  const keys = conflictColumns.map(quoteIdentifier)
  const [found] = await line.query<{ isPlain: boolean; areNullsEqual: boolean }>(FACTS, [
    table,
    [...conflictColumns],
  ])
  const isPlain = found?.isPlain ?? false
  if (found?.areNullsEqual === true) return { folding: keys.join(', '), isPlain }
  // A row with a null in its key is like no other, which its own place stands for.
  const hasNull = keys.map((key) => `${key} is null`).join(' or ')
  return { folding: `${keys.join(', ')}, case when ${hasNull} then ctid end`, isPlain }
}

/** Rows there already, just before the insert: others may come between the two. */
async function countThere({ line, table, options }: Upsert, folding: string): Promise<number> {
  const keys = options.conflictColumns.map(quoteIdentifier)
  const isSame = keys.map((key) => `kept.${key} = given.${key}`).join(' and ')
  const [counts] = await line.query<{ readonly there: number }>(
    `select count(*)::float8 as there
     from (select distinct on (${folding}) * from ${STAGING}) as given
     where exists (select from ${table} as kept where ${isSame})`,
  )
  return counts?.there ?? 0
}

async function rejectDuplicate(
  { line, table, options }: Upsert,
  folding: string,
  bad: readonly number[],
): Promise<void> {
  const [duplicate] = await line.query<{ readonly position: number }>(
    `select position::float8 from (
       select row_number() over (order by ctid) - 1 as position,
              row_number() over (partition by ${folding} order by ctid) as nth
       from ${STAGING}) as numbered
     where nth > 1 order by 1 limit 1`,
  )
  if (duplicate === undefined) return
  let index = duplicate.position
  for (const left of bad) if (left <= index) index++
  const column = options.conflictColumns.join(', ')
  throw new CopyRowError(table, index, column, 'an earlier row has the same key')
}
