import { CopyRowError } from '../errors.ts'
import { checkTableName, quoteIdentifier } from '../identifiers.ts'
import { CopyIntoRun } from './copy-into-run.ts'
import type { CopyLine } from './copy-line.ts'
import { RowEncoder, type BadRow, type CopyFormat, type CopyRow } from './row-encoder.ts'
import { openRowSource, type CopyRows, type RowSource } from './row-source.ts'
import { ServerWatch } from './server-watch.ts'
import { readTableColumns, type TableColumn } from './table-columns.ts'

export interface CopyIntoOptions {
  /** Columns written, in the order of array rows. @default the first row's fields, or all columns */
  readonly columns?: readonly string[] | undefined
  /** @default binary where every type of the list has a binary form here, else text */
  readonly format?: CopyFormat | undefined
  /**
   * Takes rows that cannot be encoded, which are then left out; without it the first one ends the
   * call. A row that only the server refuses, such as by a constraint, always ends it.
   */
  readonly onBadRow?: ((bad: BadRow, row: CopyRow) => void) | undefined
  /** Called after each chunk sent. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined
  /** Longest wait for the server; the source may take its time. Above 0. @default the manager's `queryTimeoutMs` */
  readonly timeoutMs?: number | undefined
  /** Ends the COPY; nothing of it is stored, and the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface CopyProgress {
  /** Rows encoded so far. */
  readonly rows: number
  readonly bytes: number
}

export interface CopyResult {
  /** Rows that the server stored. */
  readonly rows: number
  readonly bytes: number
  readonly format: CopyFormat
  /** Rows given to `onBadRow`. */
  readonly badRows: number
}

/**
 * Stores rows by `COPY … FROM STDIN`: all of them, or none. Memory stays at a few chunks, however
 * many rows the source gives.
 *
 * @throws CopyRowError naming row and column, when a row cannot be encoded or the server refuses it
 */
export async function copyRowsInto(
  line: CopyLine,
  table: string,
  rows: CopyRows,
  options: CopyIntoOptions,
): Promise<CopyResult> {
  checkTableName(table)
  using watch = new ServerWatch(line)
  const source = await openRowSource(rows, (step) => watch.forCaller(step))
  if (source.isEmpty) return { rows: 0, bytes: 0, format: options.format ?? 'binary', badRows: 0 }
  try {
    const available = await readTableColumns(line, table)
    const columns = chooseColumns(table, available, source, options.columns)
    return await sendRows({ line, watch, table, source, columns, options, target: table })
  } finally {
    closeSource(source)
  }
}

/** What one COPY into a table needs. */
export interface SendRows {
  readonly line: CopyLine
  readonly watch: ServerWatch
  /** Named in errors. */
  readonly table: string
  /** Written to, quoted. */
  readonly target: string
  readonly source: RowSource
  readonly columns: readonly TableColumn[]
  readonly options: CopyIntoOptions
}

/** Sends all rows of a source. */
export async function sendRows(send: SendRows): Promise<CopyResult> {
  const { line, watch, table, target, source, columns, options } = send
  const isClosed = options.columns === undefined && isFieldRow(source.first)
  const encoder = new RowEncoder(columns, { format: options.format, isClosed })
  const list = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const text = `copy ${target} (${list}) from stdin (format ${encoder.format})`
  return new CopyIntoRun({ line, watch, table, encoder, text, options }).send(source)
}

/** The columns that rows of this source are for. @throws CopyRowError for one that does not exist */
export function chooseColumns(
  table: string,
  available: readonly TableColumn[],
  { first }: RowSource,
  names: readonly string[] | undefined = isFieldRow(first) ? Object.keys(first) : undefined,
): readonly TableColumn[] {
  if (names === undefined) return available
  return names.map((name) => {
    const column = available.find((one) => one.name === name)
    if (column !== undefined) return column
    const all = available.map((one) => one.name).join(', ')
    const reason = `is no column that can be written; there are ${all}`
    throw new CopyRowError(table, undefined, name, reason)
  })
}

function isFieldRow(row: unknown): row is object {
  return typeof row === 'object' && row !== null && !Array.isArray(row)
}

/** Tells a source that no more of it is wanted. One that is stuck is not waited for. */
export function closeSource({ rows, asyncRows }: RowSource): void {
  rows?.return?.()
  void Promise.resolve(asyncRows?.return?.()).catch(ignoreAfterEnd)
}

/** The call has its outcome already. */
function ignoreAfterEnd(): void {}
