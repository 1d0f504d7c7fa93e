import { CopyRowError } from '../errors.ts'
import { checkTableName, quoteIdentifier } from '../identifiers.ts'
import { chooseColumns, closeSource, sendRows, type CopyIntoOptions } from './copy-into.ts'
import type { CopyLine } from './copy-line.ts'
import { inTransaction } from '../in-transaction.ts'
import { rowTexts } from './row-texts.ts'
import type { CopyRow } from './row-encoder.ts'
import { openRowSource, type CopyRows, type RowSource } from './row-source.ts'
import { ServerWatch } from './server-watch.ts'
import { readTableColumns, type TableColumn } from './table-columns.ts'

export interface InsertRowsOptions extends Pick<
  CopyIntoOptions,
  'columns' | 'timeoutMs' | 'signal'
> {
  /** Columns of the rows stored that come back, `['*']` for all. More than a few thousand rows take COPY's speed away. @default none */
  readonly returning?: readonly string[] | undefined
  /** @default `unnest` below 50 rows or with `returning`, else `copy` */
  readonly method?: 'unnest' | 'copy' | undefined
}

export interface InsertRowsResult<Row> {
  /** Rows stored. */
  readonly rowCount: number
  /** What `returning` asked for, in the order of the rows given; else empty. */
  readonly rows: Row[]
  readonly method: 'unnest' | 'copy'
}

/**
 * From here on rows go by COPY, which costs more before the first row and less for each. Where the two
 * meet depends on the columns; the benchmark `database.insert-many` compares them.
 */
const COPY_FROM_ROWS = 50
/** Rows of one INSERT: bounds what both sides hold of them at once. */
const BATCH_ROWS = 2_000

interface Insert {
  readonly line: CopyLine
  readonly table: string
  readonly columns: readonly TableColumn[]
  readonly isClosed: boolean
  readonly options: InsertRowsOptions
}

/**
 * Inserts rows, all or none, by INSERTs of arrays or by COPY, as suits their number.
 *
 * @throws CopyRowError naming row and column, PostgresQueryError
 */
export async function insertRows<Row>(
  line: CopyLine,
  table: string,
  rows: CopyRows,
  options: InsertRowsOptions,
): Promise<InsertRowsResult<Row>> {
  checkTableName(table)
  const { returning } = options
  const method = options.method ?? (returning === undefined ? undefined : 'unnest')
  if (method === 'copy' && returning !== undefined) {
    throw new TypeError("method 'copy' cannot be with returning: COPY returns no rows")
  }
  using watch = new ServerWatch(line)
  const source = await openRowSource(rows, (step) => watch.forCaller(step))
  if (source.isEmpty) return { rowCount: 0, rows: [], method: method ?? 'unnest' }
  try {
    const available = await readTableColumns(line, table)
    const columns = chooseColumns(table, available, source, options.columns)
    const batches = new BatchReader(source, watch)
    const first = method === 'copy' ? [] : await batches.read(batchRows(method))
    if (method === 'unnest' || (method === undefined && first.length < COPY_FROM_ROWS)) {
      const isClosed = options.columns === undefined && !Array.isArray(source.first)
      const insert = { line, table, columns, isClosed, options }
      return await insertBatches<Row>(insert, first, batches)
    }
    const sent = await sendRows({
      line,
      watch,
      table,
      target: table,
      columns,
      options,
      source: batches.asSource(first),
    })
    return { rowCount: sent.rows, rows: [], method: 'copy' }
  } finally {
    closeSource(source)
  }
}

function batchRows(method: 'unnest' | undefined): number {
  return method === undefined ? COPY_FROM_ROWS : BATCH_ROWS
}

/** Takes a source's rows in batches. */
class BatchReader {
  readonly #source: RowSource
  readonly #watch: ServerWatch

  constructor(source: RowSource, watch: ServerWatch) {
    this.#source = source
    this.#watch = watch
  }

  /** At most `count` rows; fewer only at the end. */
  async read(count: number): Promise<CopyRow[]> {
    const { rows, asyncRows } = this.#source
    const batch: CopyRow[] = []
    while (batch.length < count) {
      const next = asyncRows ? await this.#watch.forCaller(asyncRows.next()) : rows?.next()
      if (next === undefined || next.done === true) break
      batch.push(next.value)
    }
    return batch
  }

  /** The source with rows put back in front. */
  asSource(front: readonly CopyRow[]): RowSource {
    const { first, rows, asyncRows } = this.#source
    let at = 0
    const take = <Rest>(rest: () => Rest): Rest | IteratorYieldResult<CopyRow> => {
      const value = front[at]
      return at++ < front.length ? { value: value as CopyRow, done: false } : rest()
    }
    return {
      isEmpty: false,
      first,
      rows: rows && { next: () => take<IteratorResult<CopyRow>>(() => rows.next()) },
      asyncRows: asyncRows && { next: async () => take(() => asyncRows.next()) },
    }
  }
}

async function insertBatches<Row>(
  insert: Insert,
  first: readonly CopyRow[],
  batches: BatchReader,
): Promise<InsertRowsResult<Row>> {
  const { line } = insert
  const text = insertStatement(insert)
  const stored: Row[] = []
  let rowCount = 0
  const insertBatch = async (batch: readonly CopyRow[]): Promise<void> => {
    stored.push(...(await line.query<Row>(text, columnTexts(insert, batch, rowCount))))
    rowCount += batch.length
  }
  if (first.length < BATCH_ROWS) await insertBatch(first)
  else {
    await inTransaction(line, async () => {
      for (let batch = first; batch.length > 0; batch = await batches.read(BATCH_ROWS)) {
        await insertBatch(batch)
      }
    })
  }
  return { rowCount, rows: stored, method: 'unnest' }
}

/** One array a column, in the server's text form, so that the same statement serves any number of rows. */
function columnTexts(
  { table, columns, isClosed }: Insert,
  batch: readonly CopyRow[],
  offset: number,
): (string | null)[][] {
  const arrays = columns.map((): (string | null)[] => [])
  for (const [position, row] of batch.entries()) {
    const texts = rowTexts(row, columns, isClosed)
    if ('reason' in texts) {
      const { column, reason, cause } = texts
      throw new CopyRowError(table, offset + position, column, reason, { cause })
    }
    for (const [column, value] of texts.entries()) arrays[column]?.push(value)
  }
  return arrays
}

function insertStatement({ table, columns, options }: Insert): string {
  const list = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const overriding = columns.some((column) => column.isAlwaysIdentity)
    ? ' overriding system value'
    : ''
  const casts = columns.map(({ castName }, index) => `c${index + 1}::${castName}`).join(', ')
  const names = columns.map((_, index) => `c${index + 1}`).join(', ')
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`).join(', ')
  const returning = options.returning?.map((name) => (name === '*' ? '*' : quoteIdentifier(name)))
  return (
    `insert into ${table} (${list})${overriding} select ${casts}` +
    ` from unnest(${arrays}) as given (${names})` +
    (returning === undefined || returning.length === 0 ? '' : ` returning ${returning.join(', ')}`)
  )
}
