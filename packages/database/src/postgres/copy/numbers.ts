import type { ByteWriter } from './byte-writer.ts'
import { refuse } from './value-error.ts'

const NUMERIC = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/
const POSITIVE = 0x0000
const NEGATIVE = 0x4000
const NAN = 0xc000
const INFINITY = 0xd000
const MINUS_INFINITY = 0xf000
/** The largest display scale that the format's 14 bits can say. */
const MAX_SCALE = 16_383

export function writeInt2(writer: ByteWriter, value: unknown): void {
  const number = wholeNumber(value)
  if (number < -32_768 || number > 32_767) refuse('a whole number from -32768 to 32767', value)
  writer.int16(number)
}

export function writeInt4(writer: ByteWriter, value: unknown): void {
  const number = wholeNumber(value)
  if ((number | 0) !== number) refuse('a whole number from -2147483648 to 2147483647', value)
  writer.int32(number)
}

/** Unsigned 32 bits: `oid`. */
export function writeOid(writer: ByteWriter, value: unknown): void {
  const number = wholeNumber(value)
  if (number < 0 || number > 0xffff_ffff) refuse('a whole number from 0 to 4294967295', value)
  writer.int32(number | 0)
}

export function writeInt8(writer: ByteWriter, value: unknown): void {
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    writer.int64(value)
    return
  }
  const big = bigIntOf(value)
  if (big === undefined || BigInt.asIntN(64, big) !== big) {
    refuse('a safe whole number, a bigint or a decimal string of 64 bits', value)
  }
  writer.bigInt64(big)
}

export function writeFloat4(writer: ByteWriter, value: unknown): void {
  const number = anyNumber(value)
  const single = Math.fround(number)
  // What is too large or too small would be stored as infinity or 0.
  const isLost = (Math.abs(single) === Infinity || single === 0) && single !== number
  if (isLost) refuse('a number in the range of 32-bit floats', value)
  writer.float32(number)
}

export function writeFloat8(writer: ByteWriter, value: unknown): void {
  writer.float64(anyNumber(value))
}

/**
 * `numeric`: groups of four decimal digits, the weight of the first group, a sign, and the number of
 * digits after the point. Source: PostgreSQL, src/backend/utils/adt/numeric.c, numeric_recv.
 */
export function writeNumeric(writer: ByteWriter, value: unknown): void {
  const text = typeof value === 'string' ? value.trim() : numericText(value)
  const special = specialSign(text)
  if (special !== undefined) {
    writeDigits(writer, '', 0, special, 0)
    return
  }
  const match = NUMERIC.exec(text)
  const whole = match?.[2] ?? ''
  const fraction = match?.[3] ?? ''
  if (match === null || whole + fraction === '')
    refuse('a number, a bigint or a decimal string', value)
  const exponent = Number(match[4] ?? 0)
  const scale = Math.max(0, fraction.length - exponent)
  if (scale > MAX_SCALE) refuse(`a number of at most ${MAX_SCALE} digits after the point`, value)
  const digits = (whole + fraction).replace(/^0+/, '')
  // Digits before the point, counted from the first that is not 0; negative for 0.00…
  const point = digits.length - fraction.length + exponent
  if (point > 131_072) refuse('a number of at most 131072 digits before the point', value)
  writeDigits(writer, digits, point, match[1] === '-' && digits !== '' ? NEGATIVE : POSITIVE, scale)
}

function writeDigits(
  writer: ByteWriter,
  digits: string,
  point: number,
  sign: number,
  scale: number,
): void {
  const groupsBefore = Math.ceil(point / 4)
  const padded = digits === '' ? '' : '0'.repeat(groupsBefore * 4 - point) + digits
  const groups: number[] = []
  for (let at = 0; at < padded.length; at += 4) {
    groups.push(Number(padded.slice(at, at + 4).padEnd(4, '0')))
  }
  while (groups.at(-1) === 0) groups.pop()
  writer.int16(groups.length)
  writer.int16(groups.length === 0 ? 0 : groupsBefore - 1)
  writer.int16(sign)
  writer.int16(scale)
  for (const group of groups) writer.int16(group)
}

function numericText(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return refuse('a number, a bigint or a decimal string', value)
}

function specialSign(text: string): number | undefined {
  if (text === 'NaN') return NAN
  if (text === 'Infinity') return INFINITY
  return text === '-Infinity' ? MINUS_INFINITY : undefined
}

function wholeNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value
  const big = bigIntOf(value)
  return big === undefined ? refuse('a whole number', value) : Number(big)
}

function bigIntOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  return typeof value === 'string' && /^[+-]?\d+$/.test(value) ? BigInt(value) : undefined
}

function anyNumber(value: unknown): number {
  if (typeof value === 'number') return value
  const text = typeof value === 'string' ? value.trim() : ''
  const parsed = Number(text)
  if (text === '' || (Number.isNaN(parsed) && text !== 'NaN')) return refuse('a number', value)
  return parsed
}
