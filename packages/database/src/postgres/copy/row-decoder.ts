import { binaryReaderOf, type ReadValue } from './binary-decoder.ts'
import type { ColumnType } from './column-types.ts'
import type { CopyFormat } from './row-encoder.ts'
import { textReaderOf, type ReadText } from './text-decoder.ts'

/** A column of what is read. */
export interface OutputColumn {
  readonly name: string
  readonly type: ColumnType
}

export interface RowDecoderOptions {
  /** @default binary where every type has a binary form here, else text */
  readonly format?: CopyFormat | undefined
  /** @default 'object' */
  readonly rows?: 'object' | 'array' | undefined
}

/** Turns the bytes of `COPY … TO STDOUT` into rows, however the bytes are cut into chunks. */
export interface RowDecoder {
  readonly format: CopyFormat
  /** The rows that are complete with this chunk. The chunk's memory is not kept by them. */
  decode(chunk: Buffer): unknown[]
}

/** A decoder with readers chosen once for the columns. @throws TypeError where `binary` cannot be */
export function createRowDecoder(
  columns: readonly OutputColumn[],
  { format, rows = 'object' }: RowDecoderOptions = {},
): RowDecoder {
  const readers = columns.map(({ type }) => binaryReaderOf(type))
  const unreadable = columns.find((_, index) => readers[index] === undefined)
  if (format === 'binary' && unreadable !== undefined) {
    throw new TypeError(`format 'binary' cannot be: column ${unreadable.name} has no binary form`)
  }
  const names = rows === 'object' ? columns.map(({ name }) => name) : undefined
  if (format === 'text' || unreadable !== undefined) return new TextRowDecoder(columns, names)
  return new BinaryRowDecoder(readers as readonly ReadValue[], names)
}

const SIGNATURE_BYTES = 11

class BinaryRowDecoder implements RowDecoder {
  readonly format = 'binary'
  readonly #readers: readonly ReadValue[]
  readonly #names: readonly string[] | undefined
  /** All fields in their order, so that every row gets the same hidden class. */
  readonly #empty: Readonly<Record<string, unknown>>
  readonly #pending = new PendingChunks()
  #isPastHeader = false
  /** Where the row under way ends, or how far it reaches at least where it is not complete. */
  #next = 0

  constructor(readers: readonly ReadValue[], names: readonly string[] | undefined) {
    this.#readers = readers
    this.#names = names
    this.#empty = Object.fromEntries((names ?? []).map((name) => [name, null]))
  }

  decode(chunk: Buffer): unknown[] {
    this.#pending.add(chunk)
    // A row of many chunks is put together once, not at each of them.
    if (this.#pending.bytes < this.#next) return []
    const buffer = this.#pending.take()
    let at = this.#isPastHeader ? 0 : headerBytes(buffer)
    this.#isPastHeader = at !== -1
    const rows: unknown[] = []
    while (at !== -1) {
      const row = this.#decodeRow(buffer, at)
      if (row === undefined) break
      rows.push(row)
      at = this.#next
    }
    const from = Math.max(0, at)
    this.#pending.add(buffer.subarray(from))
    this.#next -= from
    return rows
  }

  /** The row that begins at `at`; `undefined` if it is not complete, or is the end mark. */
  #decodeRow(buffer: Buffer, at: number): unknown {
    const { length } = this.#readers
    const end = buffer.length
    this.#next = at + 2
    // The end mark is a count of fields of -1.
    if (at + 2 > end || buffer.readInt16BE(at) !== length) return undefined
    const names = this.#names
    const object: Record<string, unknown> | undefined = names && { ...this.#empty }
    const array: unknown[] = []
    let field = at + 2
    for (let column = 0; column < length; column++) {
      this.#next = field + 4
      if (this.#next > end) return undefined
      const bytes = buffer.readInt32BE(field)
      field += 4
      let value: unknown = null
      if (bytes >= 0) {
        this.#next = field + bytes
        if (this.#next > end) return undefined
        value = this.#readers[column]?.(buffer, field, bytes)
        field += bytes
      }
      if (object === undefined) array.push(value)
      else object[names?.[column] ?? ''] = value
    }
    this.#next = field
    return object ?? array
  }
}

/** What has come of a row that is not complete. */
class PendingChunks {
  bytes = 0
  #chunks: Buffer[] = []

  add(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.bytes += chunk.length
    this.#chunks.push(chunk)
  }

  take(): Buffer {
    const [first] = this.#chunks
    const all =
      this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
    this.#chunks = []
    this.bytes = 0
    return all
  }
}

/** Where the first row begins; -1 if the header is not complete. */
function headerBytes(buffer: Buffer): number {
  const length = SIGNATURE_BYTES + 8
  if (buffer.length < length) return -1
  const extension = buffer.readInt32BE(SIGNATURE_BYTES + 4)
  return buffer.length < length + extension ? -1 : length + extension
}

const NEWLINE = 10
const ESCAPE = /\\(?<code>.)/g
const ESCAPED: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

class TextRowDecoder implements RowDecoder {
  readonly format = 'text'
  readonly #readers: readonly ReadText[]
  readonly #names: readonly string[] | undefined
  readonly #pending = new PendingChunks()

  constructor(columns: readonly OutputColumn[], names: readonly string[] | undefined) {
    this.#readers = columns.map(({ type }) => textReaderOf(type))
    this.#names = names
  }

  decode(chunk: Buffer): unknown[] {
    // A line feed is never part of a value: in those it is written as two characters.
    const end = chunk.lastIndexOf(NEWLINE)
    if (end === -1) {
      this.#pending.add(chunk)
      return []
    }
    this.#pending.add(chunk.subarray(0, end))
    const lines = this.#pending.take().toString()
    this.#pending.add(chunk.subarray(end + 1))
    return lines.split('\n').map((line) => this.#decodeLine(line))
  }

  #decodeLine(line: string): unknown {
    const values = this.#readers.length === 0 ? [] : line.split('\t')
    const row = values.map((text, column) => this.#decodeField(text, column))
    if (this.#names === undefined) return row
    return Object.fromEntries(this.#names.map((name, column) => [name, row[column]]))
  }

  #decodeField(text: string, column: number): unknown {
    if (text === String.raw`\N`) return null
    const plain = text.includes('\\')
      ? text.replace(ESCAPE, (_, code: string) => ESCAPED[code] ?? code)
      : text
    return this.#readers[column]?.(plain)
  }
}
