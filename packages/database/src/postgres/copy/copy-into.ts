import { finished } from 'node:stream/promises'
import type { Writable } from 'node:stream'
import { once } from 'node:events'
import type { ClientBase } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { copyPlaceOf, CopyRowError, wrapPostgresError } from '../errors.ts'
import { quoteIdentifier } from '../identifiers.ts'
import { RowEncoder, type BadRow, type CopyFormat, type CopyRow } from './row-encoder.ts'
import { readTableColumns, type TableColumn } from './table-columns.ts'

export interface CopyIntoOptions {
  /** Columns written, in the order of array rows. @default the first row's fields, or all columns */
  readonly columns?: readonly string[]
  /** @default binary where every type of the list has a binary form, else text */
  readonly format?: CopyFormat
  /** Takes rows that cannot be encoded, which are then left out; without it the first one ends the call. */
  readonly onBadRow?: (bad: BadRow, row: CopyRow) => void
  /** Called after each chunk sent. */
  readonly onProgress?: (progress: CopyProgress) => void
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

export type CopyRows = Iterable<CopyRow> | AsyncIterable<CopyRow>

/** Chunks of this size reach the best rate; larger ones only cost memory. */
const CHUNK_BYTES = 64 * 1024

/**
 * Stores rows by `COPY … FROM STDIN` on a client that nothing else uses meanwhile: all of them, or
 * none. Memory stays at a few chunks, however many rows the source gives.
 *
 * @throws CopyRowError naming row and column, when a row cannot be encoded or the server refuses it
 */
export async function copyRowsInto(
  client: ClientBase,
  table: string,
  rows: CopyRows,
  options: CopyIntoOptions,
): Promise<CopyResult> {
  options.signal?.throwIfAborted()
  const source = await peekFirst(rows)
  if (source.first === undefined)
    return { rows: 0, bytes: 0, format: options.format ?? 'binary', badRows: 0 }
  const fromRow = options.columns === undefined && !Array.isArray(source.first)
  const names = options.columns ?? (fromRow ? Object.keys(source.first) : undefined)
  const columns = chooseColumns(table, await readTableColumns(client, table), names)
  const encoder = new RowEncoder(columns, { format: options.format, isClosed: fromRow })
  const list = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const into = client.query(
    copyFrom(`copy ${table} (${list}) from stdin (format ${encoder.format})`),
  )
  return new CopyRun(table, encoder, into, options).send(source.rows)
}

function chooseColumns(
  table: string,
  available: readonly TableColumn[],
  names: readonly string[] | undefined,
): readonly TableColumn[] {
  if (names === undefined) return available
  return names.map((name) => {
    const column = available.find((one) => one.name === name)
    if (column !== undefined) return column
    const all = available.map((one) => one.name).join(', ')
    throw new CopyRowError(
      table,
      undefined,
      name,
      `is no column that can be written; there are ${all}`,
    )
  })
}

/** One COPY under way. */
class CopyRun {
  readonly #table: string
  readonly #encoder: RowEncoder
  readonly #into: Writable & { rowCount: number }
  readonly #options: CopyIntoOptions
  #rows = 0
  #bytes = 0
  /** Positions left out, so that the server's line numbers lead back to the caller's rows. */
  readonly #bad: number[] = []

  constructor(
    table: string,
    encoder: RowEncoder,
    into: Writable & { rowCount: number },
    options: CopyIntoOptions,
  ) {
    this.#table = table
    this.#encoder = encoder
    this.#into = into
    this.#options = options
  }

  async send(rows: CopyRows): Promise<CopyResult> {
    // Watched from the start: the server may end the COPY at any time.
    const ended = finished(this.#into)
    ended.catch(ignoreUntilAwaited)
    // The stream may report the server's error once more after it has been taken up.
    this.#into.on('error', ignoreUntilAwaited)
    try {
      this.#encoder.begin()
      if (Symbol.asyncIterator in rows) await this.#sendAsync(rows)
      else await this.#sendSync(rows)
      this.#encoder.end()
      await this.#flush()
      this.#into.end()
      await ended
    } catch (error) {
      throw await this.#fail(error, ended)
    }
    return {
      rows: this.#into.rowCount,
      bytes: this.#bytes,
      format: this.#encoder.format,
      badRows: this.#bad.length,
    }
  }

  async #sendSync(rows: Iterable<CopyRow>): Promise<void> {
    for (const row of rows) {
      this.#add(row)
      if (this.#encoder.pendingBytes >= CHUNK_BYTES) await this.#flush()
    }
  }

  async #sendAsync(rows: AsyncIterable<CopyRow>): Promise<void> {
    for await (const row of rows) {
      this.#add(row)
      if (this.#encoder.pendingBytes >= CHUNK_BYTES) await this.#flush()
    }
  }

  #add(row: CopyRow): void {
    const index = this.#rows++
    const bad = this.#encoder.add(row, index)
    if (bad === undefined) return
    if (this.#options.onBadRow === undefined) {
      throw new CopyRowError(this.#table, index, bad.column, bad.reason, { cause: bad.cause })
    }
    this.#bad.push(index)
    this.#options.onBadRow(bad, row)
  }

  async #flush(): Promise<void> {
    const { signal, onProgress } = this.#options
    signal?.throwIfAborted()
    const chunk = this.#encoder.take()
    this.#bytes += chunk.length
    if (!this.#into.write(chunk))
      await once(this.#into, 'drain', signal === undefined ? {} : { signal })
    onProgress?.({ rows: this.#rows, bytes: this.#bytes })
  }

  /** Ends the COPY on the server, so that the client can be used again, and names the row if it can. */
  async #fail(thrown: unknown, ended: Promise<void>): Promise<unknown> {
    if (!this.#into.destroyed) this.#into.destroy(thrown instanceof Error ? thrown : undefined)
    const serverError: unknown = await ended.then(
      () => undefined,
      (error: unknown) => error,
    )
    if (this.#options.signal?.aborted) return this.#options.signal.reason
    if (thrown instanceof CopyRowError) return thrown
    const place = copyPlaceOf(serverError)
    if (place === undefined) return wrapPostgresError(thrown)
    const cause = wrapPostgresError(serverError)
    const index = this.#sourceIndex(place.line)
    return new CopyRowError(this.#table, index, place.column, cause.message, { cause })
  }

  #sourceIndex(line: number): number {
    let index = line
    for (const bad of this.#bad) if (bad <= index) index++
    return index
  }
}

/** The rejection is taken up by the await that follows the last write. */
function ignoreUntilAwaited(): void {}

interface PeekedRows {
  readonly first: CopyRow | undefined
  readonly rows: CopyRows
}

/** Looks at the first row without losing it. */
async function peekFirst(rows: CopyRows): Promise<PeekedRows> {
  if (Array.isArray(rows)) return { first: rows[0] as CopyRow | undefined, rows }
  if (Symbol.asyncIterator in rows) {
    const iterator = rows[Symbol.asyncIterator]()
    const first = await iterator.next()
    return first.done === true
      ? { first: undefined, rows: [] }
      : { first: first.value, rows: continueAsync(first.value, iterator) }
  }
  const iterator = (rows as Iterable<CopyRow>)[Symbol.iterator]()
  const first = iterator.next()
  return first.done === true
    ? { first: undefined, rows: [] }
    : { first: first.value, rows: continueSync(first.value, iterator) }
}

function* continueSync(first: CopyRow, rest: Iterator<CopyRow>): Generator<CopyRow> {
  try {
    yield first
    for (let next = rest.next(); next.done !== true; next = rest.next()) yield next.value
  } finally {
    rest.return?.()
  }
}

async function* continueAsync(
  first: CopyRow,
  rest: AsyncIterator<CopyRow>,
): AsyncGenerator<CopyRow> {
  try {
    yield first
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      yield next.value
  } finally {
    await rest.return?.()
  }
}
