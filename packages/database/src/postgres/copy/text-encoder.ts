import type { ByteWriter } from './byte-writer.ts'
import type { ColumnType } from './table-columns.ts'
import { jsonOf } from './binary-encoder.ts'
import { refuse } from './value-error.ts'

const NEEDS_ESCAPE = /[\\\n\r\t]/g
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/** JSON's two types; everything else of type `base` goes by the class of the value. */
const JSON_OIDS: ReadonlySet<number> = new Set([114, 3802])

/** Writes a field of COPY's text format: any type, in the form the server itself reads. */
export function writeTextField(writer: ByteWriter, value: unknown, type: ColumnType): void {
  if (value === null || value === undefined) writer.text('\\N')
  else writer.text(textOf(value, type).replace(NEEDS_ESCAPE, (found) => ESCAPES[found] ?? found))
}

/** A value in the input form of its type. @throws ValueError when there is none. */
function textOf(value: unknown, type: ColumnType): string {
  if (type.kind === 'base' && JSON_OIDS.has(type.oid)) return jsonOf(value)
  if (typeof value === 'string') {
    if (value.includes('\0')) refuse('text without a zero character', value)
    return value
  }
  if (Object.is(value, -0)) return '-0'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (value instanceof Date) return dateText(value, type)
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return arrayText(value, type.kind === 'array' ? type.element : type)
  return JSON.stringify(value)
}

/** With the zone's offset, which types without a zone ignore: the local fields, as `pg` sends them. */
function dateText(value: Date, { oid }: ColumnType): string {
  if (Number.isNaN(value.getTime())) refuse('a valid Date', value)
  const isLocal = oid === 1082 || oid === 1114
  const shiftMs = isLocal ? value.getTimezoneOffset() * 60_000 : 0
  const iso = new Date(value.getTime() - shiftMs).toISOString()
  const text = iso.replace(/^\+0*/, '')
  return text.startsWith('-') ? refuse('a Date after the year 0', value) : text
}

function arrayText(values: readonly unknown[], element: ColumnType): string {
  const items = values.map((value) => {
    if (value === null || value === undefined) return 'NULL'
    if (Array.isArray(value)) return arrayText(value, element)
    return `"${textOf(value, element).replace(/["\\]/g, String.raw`\$&`)}"`
  })
  return `{${items.join(',')}}`
}
