import type { ColumnType } from './column-types.ts'
import { readDate, readTime, readTimestamp, readTimestamptz } from './decode-dates.ts'
import { readCidr, readInet } from './decode-network.ts'
import { readFloat4, readNumeric } from './decode-numbers.ts'

/** Reads one value that is not null from the bytes `at` … `at + length`. */
export type ReadValue = (buffer: Buffer, at: number, length: number) => unknown

/** Built-in types by their object identifier. Values are those that `pg` makes of the text form. */
const SCALARS: Readonly<Record<number, ReadValue>> = {
  16: (buffer, at) => buffer[at] !== 0,
  17: (buffer, at, length) => Buffer.from(buffer.subarray(at, at + length)),
  19: readText,
  20: readInt8,
  21: (buffer, at) => buffer.readInt16BE(at),
  23: (buffer, at) => buffer.readInt32BE(at),
  25: readText,
  26: (buffer, at) => buffer.readUInt32BE(at),
  114: (buffer, at, length) => JSON.parse(readText(buffer, at, length)) as unknown,
  650: readCidr,
  700: readFloat4,
  701: (buffer, at) => buffer.readDoubleBE(at),
  869: readInet,
  1042: readText,
  1043: readText,
  1082: readDate,
  1083: readTime,
  1114: readTimestamp,
  1184: readTimestamptz,
  1700: readNumeric,
  2950: readUuid,
  // The first byte is the version of the format.
  3802: (buffer, at, length) => JSON.parse(readText(buffer, at + 1, length - 1)) as unknown,
}

/** The reader of a type; `undefined` where only the server's text form will do. */
export function binaryReaderOf(type: ColumnType): ReadValue | undefined {
  switch (type.kind) {
    case 'base':
      return SCALARS[type.oid]
    case 'enum':
      return readText
    case 'array': {
      const readElement = binaryReaderOf(type.element)
      if (readElement === undefined) return undefined
      return (buffer, at) => new ArrayReader(buffer, at, readElement).read()
    }
    case 'other':
      return undefined
  }
}

/** Below this length a loop over the bytes beats the call into the engine. */
const SHORT_TEXT = 12

function readText(buffer: Buffer, at: number, length: number): string {
  const end = at + length
  if (length > SHORT_TEXT) return buffer.toString(undefined, at, end)
  let text = ''
  for (let index = at; index < end; index++) {
    const code = buffer[index] ?? 0
    if (code > 0x7f) return buffer.toString(undefined, at, end)
    text += String.fromCharCode(code)
  }
  return text
}

/** As text, since a number holds no 64 bits. */
function readInt8(buffer: Buffer, at: number): string {
  const high = buffer.readInt32BE(at)
  // Exact up to 53 bits.
  if (high >= -0x20_0000 && high < 0x20_0000)
    return String(high * 0x1_0000_0000 + buffer.readUInt32BE(at + 4))
  return String(buffer.readBigInt64BE(at))
}

function readUuid(buffer: Buffer, at: number): string {
  const hex = buffer.toString('hex', at, at + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Bytes of an array's header without its dimensions, and of each dimension. */
const HEADER_BYTES = 12
const DIMENSION_BYTES = 8

/** Source: PostgreSQL, src/backend/utils/adt/arrayfuncs.c, array_send. */
class ArrayReader {
  readonly #buffer: Buffer
  readonly #readElement: ReadValue
  readonly #lengths: readonly number[]
  #at: number

  constructor(buffer: Buffer, at: number, readElement: ReadValue) {
    this.#buffer = buffer
    this.#readElement = readElement
    this.#lengths = Array.from({ length: buffer.readInt32BE(at) }, (_, dimension) => {
      return buffer.readInt32BE(at + HEADER_BYTES + dimension * DIMENSION_BYTES)
    })
    this.#at = at + HEADER_BYTES + this.#lengths.length * DIMENSION_BYTES
  }

  read(): unknown[] {
    return this.#lengths.length === 0 ? [] : this.#readLevel(0)
  }

  #readLevel(level: number): unknown[] {
    const values: unknown[] = []
    const isInnermost = level === this.#lengths.length - 1
    for (let count = this.#lengths[level] ?? 0; count > 0; count--) {
      values.push(isInnermost ? this.#readOne() : this.#readLevel(level + 1))
    }
    return values
  }

  #readOne(): unknown {
    const length = this.#buffer.readInt32BE(this.#at)
    const at = this.#at + 4
    this.#at = at + Math.max(0, length)
    return length === -1 ? null : this.#readElement(this.#buffer, at, length)
  }
}
