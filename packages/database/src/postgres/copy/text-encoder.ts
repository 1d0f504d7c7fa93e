import type { ByteWriter } from './byte-writer.ts'
import type { ColumnType } from './column-types.ts'
import { jsonOf } from './binary-encoder.ts'
import { dateText, instantText } from './date-text.ts'
import { refuse } from './value-error.ts'

const NEEDS_ESCAPE = /[\\\n\r\t]/g
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

const JSON_OID = 114
const JSONB_OID = 3802
const DATE_OID = 1082
const TIMESTAMP_OID = 1114
const TIMESTAMPTZ_OID = 1184

/** Writes a field of COPY's text format: any type, in the form the server itself reads. */
export function writeTextField(writer: ByteWriter, value: unknown, type: ColumnType): void {
  if (value === null || value === undefined) writer.text('\\N')
  else writer.text(textOf(value, type).replace(NEEDS_ESCAPE, (found) => ESCAPES[found] ?? found))
}

/** A value in the input form of its type. @throws ValueError when there is none. */
export function textOf(value: unknown, type: ColumnType): string {
  const oid = type.kind === 'base' ? type.oid : 0
  if (oid === JSON_OID || oid === JSONB_OID) return withoutZero(jsonOf(value), value)
  switch (typeof value) {
    case 'string':
      return withoutZero(value, value)
    case 'number':
      return numberText(value, oid)
    case 'bigint':
      return String(value)
    case 'boolean':
      return value ? 't' : 'f'
    case 'object':
      if (value !== null) return objectText(value, type)
      break
    case 'symbol':
    case 'function':
    case 'undefined':
  }
  return refuse('a value that SQL can hold', value)
}

function withoutZero(text: string, value: unknown): string {
  // A zero character is the one that PostgreSQL's text cannot hold.
  return text.includes('\0') ? refuse('text without a zero character', value) : text
}

function numberText(value: number, oid: number): string {
  if (Object.is(value, -0)) return '-0'
  if (Number.isFinite(value)) {
    return oid === TIMESTAMPTZ_OID ? instantText(new Date(value)) : String(value)
  }
  const isTime = oid === DATE_OID || oid === TIMESTAMP_OID || oid === TIMESTAMPTZ_OID
  return isTime && Number.isNaN(value) ? refuse('a valid Date', value) : String(value)
}

function objectText(value: object, type: ColumnType): string {
  if (value instanceof Date) {
    return type.kind === 'base' && type.oid === DATE_OID ? dateText(value) : instantText(value)
  }
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  if (!Array.isArray(value)) return ownText(value)
  return type.kind === 'array'
    ? arrayText(value, type.element, type.delimiter)
    : arrayText(value, type, ',')
}

/** Objects that know their form in SQL, such as `pg`'s intervals; all others as JSON. */
function ownText(value: object): string {
  if ('toPostgres' in value && typeof value.toPostgres === 'function') {
    return String((value.toPostgres as () => unknown)())
  }
  return jsonOf(value)
}

function arrayText(values: readonly unknown[], element: ColumnType, delimiter: string): string {
  const items = values.map((value) => {
    if (value === null || value === undefined) return 'NULL'
    if (Array.isArray(value)) return arrayText(value, element, delimiter)
    return `"${textOf(value, element).replace(/["\\]/g, String.raw`\$&`)}"`
  })
  return `{${items.join(delimiter)}}`
}
