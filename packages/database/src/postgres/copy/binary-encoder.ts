import type { ByteWriter } from './byte-writer.ts'
import type { ColumnType } from './column-types.ts'
import { writeDate, writeTime, writeTimestamp, writeTimestamptz } from './dates.ts'
import { writeCidr, writeInet } from './network.ts'
import {
  writeFloat4,
  writeFloat8,
  writeInt2,
  writeInt4,
  writeInt8,
  writeNumeric,
  writeOid,
} from './numbers.ts'
import { refuse } from './value-error.ts'

/**
 * Writes one value that is not null, without its length. @throws ValueError when the type cannot
 * hold it.
 */
export type WriteValue = (writer: ByteWriter, value: unknown) => void

const JSONB_VERSION = 1
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Built-in types by their object identifier, which never changes. Source: pg_type.dat. */
const SCALARS: Readonly<Record<number, WriteValue>> = {
  16: writeBoolean,
  17: writeBytea,
  19: writeText,
  20: writeInt8,
  21: writeInt2,
  23: writeInt4,
  25: writeText,
  26: writeOid,
  114: writeJson,
  650: writeCidr,
  700: writeFloat4,
  701: writeFloat8,
  869: writeInet,
  1042: writeText,
  1043: writeText,
  1082: writeDate,
  1083: writeTime,
  1114: writeTimestamp,
  1184: writeTimestamptz,
  1700: writeNumeric,
  2950: writeUuid,
  3802: writeJsonb,
}

/** The writer of a type; `undefined` where only the server's text form will do. */
export function binaryWriterOf(type: ColumnType): WriteValue | undefined {
  switch (type.kind) {
    case 'base':
      return SCALARS[type.oid]
    case 'enum':
      return writeText
    case 'array': {
      const writeElement = binaryWriterOf(type.element)
      if (writeElement === undefined) return undefined
      const { elementOid } = type
      return (writer, value) => writeArray(writer, value, elementOid, writeElement)
    }
    case 'other':
      return undefined
  }
}

function writeBoolean(writer: ByteWriter, value: unknown): void {
  if (typeof value !== 'boolean') refuse('a boolean', value)
  writer.int8(value ? 1 : 0)
}

function writeText(writer: ByteWriter, value: unknown): void {
  if (typeof value === 'string') {
    // A zero character is the one that PostgreSQL's text cannot hold.
    if (value.includes('\0')) refuse('text without a zero character', value)
    writer.text(value)
  } else if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    writer.text(String(value))
  } else refuse('a string', value)
}

function writeBytea(writer: ByteWriter, value: unknown): void {
  if (!(value instanceof Uint8Array)) refuse('a Uint8Array or Buffer', value)
  writer.bytes(value)
}

function writeUuid(writer: ByteWriter, value: unknown): void {
  if (typeof value !== 'string' || !UUID.test(value)) refuse('a UUID', value)
  const digits = value.replaceAll('-', '')
  writer.reserve(16)
  writer.offset += writer.buffer.write(digits, writer.offset, 'hex')
}

function writeJson(writer: ByteWriter, value: unknown): void {
  writer.text(jsonOf(value))
}

function writeJsonb(writer: ByteWriter, value: unknown): void {
  writer.int8(JSONB_VERSION)
  writer.text(jsonOf(value))
}

/** Strings are values too: `'a'` is stored as the JSON text `"a"`, and read back as `'a'`. */
export function jsonOf(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) refuse('a value that JSON can hold', value)
  return text
}

/** Source: PostgreSQL, src/backend/utils/adt/arrayfuncs.c, array_recv. */
function writeArray(
  writer: ByteWriter,
  value: unknown,
  elementOid: number,
  writeElement: WriteValue,
): void {
  if (!Array.isArray(value)) refuse('an array', value)
  const dimensions = dimensionsOf(value)
  writer.int32(dimensions.length)
  const hasNullAt = writer.offset
  writer.int32(0)
  writer.int32(elementOid)
  for (const length of dimensions) {
    writer.int32(length)
    writer.int32(1)
  }
  if (writeLevel(writer, value, dimensions, 0, writeElement)) writer.buffer[hasNullAt + 3] = 1
}

/** Writes the elements below one level and says whether one of them is null. */
function writeLevel(
  writer: ByteWriter,
  values: readonly unknown[],
  dimensions: readonly number[],
  level: number,
  writeElement: WriteValue,
): boolean {
  if (dimensions.length === 0) return false
  if (values.length !== dimensions[level]) refuse('an array whose rows have one length', values)
  let hasNull = false
  for (const value of values) {
    if (level < dimensions.length - 1) {
      if (!Array.isArray(value)) refuse('an array whose rows have one depth', value)
      hasNull = writeLevel(writer, value, dimensions, level + 1, writeElement) || hasNull
    } else hasNull = writeField(writer, value, writeElement) || hasNull
  }
  return hasNull
}

/** Writes a value behind its length, -1 for null, and says whether it was null. */
export function writeField(writer: ByteWriter, value: unknown, write: WriteValue): boolean {
  if (value === null || value === undefined) {
    writer.int32(-1)
    return true
  }
  const at = writer.beginLength()
  write(writer, value)
  writer.endLength(at)
  return false
}

/** Lengths level by level along the first elements; none at all for an empty array. */
function dimensionsOf(value: readonly unknown[]): number[] {
  const dimensions: number[] = []
  for (let level: unknown = value; Array.isArray(level); level = level[0]) {
    if (level.length === 0) return []
    dimensions.push(level.length)
  }
  return dimensions
}
