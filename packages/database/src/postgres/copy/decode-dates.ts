/** 2000-01-01, PostgreSQL's zero, in milliseconds since the Unix epoch. */
const EPOCH_MS = 946_684_800_000
const DAY_MS = 86_400_000
const HIGH_WORD = 0x1_0000_0000
const MAX_INT32 = 0x7fff_ffff
const MIN_INT32 = -0x8000_0000

/** An instant as a `Date`, whole milliseconds, or plus or minus `Infinity`. */
export function readTimestamptz(buffer: Buffer, at: number): Date | number {
  const ms = readMs(buffer, at)
  return Number.isFinite(ms) ? new Date(ms) : ms
}

/** A wall-clock time as a `Date` that shows it in the local zone, or plus or minus `Infinity`. */
export function readTimestamp(buffer: Buffer, at: number): Date | number {
  const ms = readMs(buffer, at)
  return Number.isFinite(ms) ? localDate(new Date(ms)) : ms
}

/** A day as a `Date` at its midnight in the local zone, or plus or minus `Infinity`. */
export function readDate(buffer: Buffer, at: number): Date | number {
  const days = buffer.readInt32BE(at)
  if (days === MAX_INT32) return Infinity
  if (days === MIN_INT32) return -Infinity
  return localDate(new Date(days * DAY_MS + EPOCH_MS))
}

/** A time of day as the server writes it: `HH:MM:SS[.ffffff]`. */
export function readTime(buffer: Buffer, at: number): string {
  const micros = buffer.readInt32BE(at) * HIGH_WORD + buffer.readUInt32BE(at + 4)
  const seconds = Math.floor(micros / 1_000_000)
  const text = `${twoDigits(Math.floor(seconds / 3600))}:${twoDigits(Math.floor(seconds / 60) % 60)}:${twoDigits(seconds % 60)}`
  const fraction = micros % 1_000_000
  if (fraction === 0) return text
  return `${text}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
}

/** Milliseconds since the Unix epoch, rounded down. */
function readMs(buffer: Buffer, at: number): number {
  const high = buffer.readInt32BE(at)
  const low = buffer.readUInt32BE(at + 4)
  if (high === MAX_INT32 && low === HIGH_WORD - 1) return Infinity
  if (high === MIN_INT32 && low === 0) return -Infinity
  const micros = high * HIGH_WORD + low
  if (Number.isSafeInteger(micros)) return Math.floor(micros / 1000) + EPOCH_MS
  const exact = buffer.readBigInt64BE(at)
  // Division of bigints rounds towards zero.
  const ms = exact / 1000n - (exact % 1000n < 0n ? 1n : 0n)
  return Number(ms) + EPOCH_MS
}

function localDate(utc: Date): Date {
  const local = new Date(
    utc.getUTCFullYear(),
    utc.getUTCMonth(),
    utc.getUTCDate(),
    utc.getUTCHours(),
    utc.getUTCMinutes(),
    utc.getUTCSeconds(),
    utc.getUTCMilliseconds(),
  )
  // The constructor takes the years 0 to 99 for those of the twentieth century.
  if (utc.getUTCFullYear() >= 0 && utc.getUTCFullYear() < 100) {
    local.setFullYear(utc.getUTCFullYear(), utc.getUTCMonth(), utc.getUTCDate())
  }
  return local
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
