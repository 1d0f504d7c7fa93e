import type { ByteWriter } from './byte-writer.ts'
import { refuse } from './value-error.ts'

/** 2000-01-01, PostgreSQL's zero, in milliseconds since the Unix epoch. */
const EPOCH_MS = 946_684_800_000
const DAY_MS = 86_400_000
const MAX_INT64 = 0x7fff_ffff_ffff_ffffn
const MIN_INT64 = -0x8000_0000_0000_0000n

const DATE = /^(\d{4,6})-(\d{2})-(\d{2})( BC)?$/
const TIMESTAMP =
  /^(\d{4,6}-\d{2}-\d{2})[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?( BC)?$/
const TIME = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?$/

/** An instant: a `Date`, milliseconds since the Unix epoch, or ISO text that names its zone. */
export function writeTimestamptz(writer: ByteWriter, value: unknown): void {
  if (value instanceof Date) writeInstant(writer, value.getTime(), value)
  else if (typeof value === 'number') writeInstant(writer, value, value)
  else writeTimestampText(writer, value, true)
}

/** A wall-clock time: a `Date` by its local fields, as `pg` reads and writes it, or text without a zone. */
export function writeTimestamp(writer: ByteWriter, value: unknown): void {
  if (value instanceof Date) writeInstant(writer, localMs(value), value)
  else if (value === Infinity || value === -Infinity) writeInstant(writer, value, value)
  else writeTimestampText(writer, value, false)
}

/** A day: `YYYY-MM-DD`, or a `Date` by its local fields, as `pg` reads and writes it. */
export function writeDate(writer: ByteWriter, value: unknown): void {
  if (value === 'infinity' || value === Infinity) writer.int32(0x7fff_ffff)
  else if (value === '-infinity' || value === -Infinity) writer.int32(-0x8000_0000)
  else {
    const ms =
      value instanceof Date ? localMs(value) : dayMs(typeof value === 'string' ? value : '')
    if (Number.isNaN(ms)) refuse('a valid Date or YYYY-MM-DD', value)
    writer.int32(Math.floor((ms - EPOCH_MS) / DAY_MS))
  }
}

/** A time of day: `HH:MM[:SS[.ffffff]]`. */
export function writeTime(writer: ByteWriter, value: unknown): void {
  const match = typeof value === 'string' ? TIME.exec(value) : null
  const micros = match === null ? Number.NaN : timeMicros(match[1], match[2], match[3], match[4])
  if (Number.isNaN(micros)) refuse('a time as HH:MM:SS', value)
  writer.int64(micros)
}

function writeInstant(writer: ByteWriter, ms: number, value: unknown): void {
  if (ms === Infinity) writer.bigInt64(MAX_INT64)
  else if (ms === -Infinity) writer.bigInt64(MIN_INT64)
  else if (Number.isNaN(ms)) refuse('a valid Date', value)
  else writeMicros(writer, ms - EPOCH_MS, 0)
}

function writeTimestampText(writer: ByteWriter, value: unknown, needsZone: boolean): void {
  if (value === 'infinity') writer.bigInt64(MAX_INT64)
  else if (value === '-infinity') writer.bigInt64(MIN_INT64)
  else {
    const match = typeof value === 'string' ? TIMESTAMP.exec(value) : null
    const zone = match?.[6]
    const day = dayMs(`${match?.[1] ?? ''}${match?.[7] ?? ''}`)
    const micros = timeMicros(match?.[2], match?.[3], match?.[4], match?.[5])
    if (Number.isNaN(day + micros) || (zone !== undefined) !== needsZone) {
      const form = needsZone
        ? 'text with a zone, such as 2026-01-31T12:00:00Z'
        : 'text without a zone'
      refuse(`a valid Date, or ${form}`, value)
    }
    writeMicros(writer, day - EPOCH_MS - zoneMinutes(zone) * 60_000, micros)
  }
}

/** Milliseconds and microseconds apart: together they may need more than 53 bits. */
function writeMicros(writer: ByteWriter, ms: number, micros: number): void {
  const total = ms * 1000 + micros
  if (Number.isSafeInteger(total)) writer.int64(total)
  else writer.bigInt64(BigInt(Math.trunc(ms)) * 1000n + BigInt(micros))
}

/** The instant at which a clock of UTC shows the local fields of `date`. */
export function localMs(date: Date): number {
  const shown = new Date(0)
  shown.setUTCFullYear(date.getFullYear(), date.getMonth(), date.getDate())
  return shown.setUTCHours(
    date.getHours(),
    date.getMinutes(),
    date.getSeconds(),
    date.getMilliseconds(),
  )
}

/** Midnight UTC of `YYYY-MM-DD`; `NaN` for a day that no calendar has. */
function dayMs(text: string): number {
  const match = DATE.exec(text)
  if (match === null) return Number.NaN
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  // SQL has no year 0: the year before 1 is 1 BC.
  if (year === 0) return Number.NaN
  const date = new Date(0)
  date.setUTCFullYear(match[4] === undefined ? year : 1 - year, month - 1, day)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : Number.NaN
}

function timeMicros(
  hours: string | undefined,
  minutes: string | undefined,
  seconds = '0',
  fraction = '',
): number {
  const [h, m, s] = [Number(hours), Number(minutes), Number(seconds)]
  const micros = ((h * 60 + m) * 60 + s) * 1_000_000 + Number(fraction.padEnd(6, '0'))
  // A day has its end too: 24:00:00, and no later.
  return m < 60 && s < 60 && micros <= DAY_MS * 1_000 ? micros : Number.NaN
}

function zoneMinutes(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3).replace(':', '') || 0)]
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}
