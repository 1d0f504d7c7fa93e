import { ByteWriter } from './byte-writer.ts'
import { binaryWriterOf, writeField } from './binary-encoder.ts'
import type { TableColumn } from './table-columns.ts'
import { writeTextField } from './text-encoder.ts'
import { refuse, ValueError } from './value-error.ts'

/** A row by column names, or by position in the order of the columns. */
export type CopyRow = object | readonly unknown[]

export type CopyFormat = 'binary' | 'text'

/** What is known of a row that could not be encoded. */
export interface BadRow {
  /** Position among the rows given, from 0. */
  readonly index: number
  /** `undefined` where the row as a whole is wrong. */
  readonly column: string | undefined
  /** What the column expected and the kind of value that came; never the value. */
  readonly reason: string
  readonly cause: unknown
}

export interface RowEncoderOptions {
  /** @default binary where every type of the list has a binary form */
  readonly format?: CopyFormat | undefined
  /** Whether a field that is no column makes a row bad; else it is passed over. @default false */
  readonly isClosed?: boolean
}

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const TAB = 9
const NEWLINE = 10
/** Room for a chunk of the usual size and the row that overshoots it. */
const INITIAL_BYTES = 80 * 1024

/**
 * Encodes rows for `COPY … FROM STDIN`, with writers chosen once for the column list. Binary where
 * every type of the list has a writer, else text, which any type has.
 * Source: PostgreSQL manual, COPY, "File Formats".
 */
export class RowEncoder {
  readonly format: CopyFormat
  readonly #isClosed: boolean
  readonly #names: readonly string[]
  readonly #fields: readonly ((value: unknown) => void)[]
  readonly #writer = new ByteWriter(INITIAL_BYTES)

  constructor(
    columns: readonly TableColumn[],
    { format, isClosed = false }: RowEncoderOptions = {},
  ) {
    const writers = columns.map(({ type }) => binaryWriterOf(type))
    const unwritable = columns.find((_, index) => writers[index] === undefined)
    if (format === 'binary' && unwritable !== undefined) {
      throw new TypeError(`format 'binary' cannot be: column ${unwritable.name} has no binary form`)
    }
    this.format = format ?? (unwritable === undefined ? 'binary' : 'text')
    this.#isClosed = isClosed
    this.#names = columns.map(({ name }) => name)
    const writer = this.#writer
    this.#fields = columns.map(({ type }, index) => {
      const write = writers[index]
      if (this.format === 'text' || write === undefined) {
        return (value: unknown) => writeTextField(writer, value, type)
      }
      return (value: unknown) => void writeField(writer, value, write)
    })
  }

  /** Bytes encoded since the last {@link take}. */
  get pendingBytes(): number {
    return this.#writer.offset
  }

  begin(): void {
    if (this.format === 'text') return
    this.#writer.bytes(SIGNATURE)
    this.#writer.int32(0)
    this.#writer.int32(0)
  }

  end(): void {
    if (this.format === 'binary') this.#writer.int16(-1)
  }

  /** Encodes a row, or nothing of it and says why. */
  add(row: CopyRow, index: number): BadRow | undefined {
    const writer = this.#writer
    const start = writer.offset
    const progress: Progress = { column: 0 }
    try {
      if (this.format === 'binary') writer.int16(this.#fields.length)
      if (Array.isArray(row)) this.#addValues(row, progress)
      else this.#addObject(row as Readonly<Record<string, unknown>>, progress)
      if (this.format === 'text') writer.int8(NEWLINE)
      return undefined
    } catch (cause) {
      writer.offset = start
      const reason = cause instanceof ValueError ? cause.message : 'the value could not be encoded'
      return { index, column: this.#names[progress.column], reason, cause }
    }
  }

  /** What was encoded, in memory that is not written again. */
  take(): Buffer {
    return this.#writer.take()
  }

  #addValues(row: readonly unknown[], progress: Progress): void {
    const { length } = this.#fields
    if (row.length !== length) refuse(`a row of ${length} values`, row)
    for (; progress.column < length; progress.column++)
      this.#addField(row[progress.column], progress)
  }

  #addObject(row: Readonly<Record<string, unknown>>, progress: Progress): void {
    if (typeof row !== 'object' || row === null) refuse('an object or an array', row)
    const { length } = this.#fields
    let present = length
    for (; progress.column < length; progress.column++) {
      const name = this.#names[progress.column] ?? ''
      const value = row[name]
      if (value === undefined && !(name in row)) present--
      this.#addField(value, progress)
    }
    if (this.#isClosed && Object.keys(row).length > present) {
      const extra = Object.keys(row).find((name) => !this.#names.includes(name))
      refuse(`only the first row's fields, not also '${extra ?? ''}'`, row)
    }
  }

  #addField(value: unknown, { column }: Progress): void {
    if (this.format === 'text' && column > 0) this.#writer.int8(TAB)
    this.#fields[column]?.(value)
  }
}

/** How far a row got: the column that a failure is about. */
interface Progress {
  column: number
}
