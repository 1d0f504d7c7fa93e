const NEGATIVE = 0x4000
const SPECIAL: Readonly<Record<number, string>> = {
  0xc000: 'NaN',
  0xd000: 'Infinity',
  0xf000: '-Infinity',
}
const HEADER_BYTES = 8
/** Digits after which any 32-bit float is told from its neighbours; six always survive. */
const FEWEST_DIGITS = 6
const MOST_DIGITS = 9
const SMALLEST_NORMAL = 2 ** -126
/** Whole numbers up to here are floats, and their own shortest form. */
const EXACT_INTEGERS = 2 ** 24
/** Distances that differ by less are the same but for the rounding of doubles. */
const TIE = 1e-6

/**
 * The shortest decimal that is this float, and of several the nearest, as the server writes it.
 * Source: Adams, "Ryū: fast float-to-string conversion", PLDI 2018.
 */
export function readFloat4(buffer: Buffer, at: number): number {
  const value = buffer.readFloatBE(at)
  if (!Number.isFinite(value)) return value
  if (Number.isInteger(value) && Math.abs(value) < EXACT_INTEGERS) return value
  // Those next to 0 have fewer bits.
  const fewest = Math.abs(value) < SMALLEST_NORMAL ? 1 : FEWEST_DIGITS
  for (let digits = fewest; digits < MOST_DIGITS; digits++) {
    const shorter = nearestDecimal(value, digits)
    if (shorter !== undefined) return shorter
  }
  return Number(value.toPrecision(MOST_DIGITS))
}

/** The decimal of so many digits that is read as `value`; of two at the same distance the even one. */
function nearestDecimal(value: number, digits: number): number | undefined {
  const [mantissa = '', exponent = ''] = value.toExponential(digits - 1).split('e')
  const middle = Number(mantissa.replace('.', ''))
  const scale = Number(exponent) - digits + 1
  let best: { readonly number: number; readonly off: number } | undefined
  for (const whole of [middle, middle - 1, middle + 1]) {
    const number = Number(`${whole}e${scale}`)
    // Strictly inside: what lies half-way to the next float is not taken, though it would be read so.
    if (Math.fround(number + (number - value) * TIE) !== value) continue
    const off = Math.abs(number - value)
    const isTie = best !== undefined && Math.abs(off - best.off) <= best.off * TIE
    if (best === undefined || (isTie ? whole % 2 === 0 : off < best.off)) best = { number, off }
  }
  return best?.number
}

/** As text, exact. Source: PostgreSQL, src/backend/utils/adt/numeric.c, numeric_send. */
export function readNumeric(buffer: Buffer, at: number): string {
  const count = buffer.readUInt16BE(at)
  const weight = buffer.readInt16BE(at + 2)
  const sign = buffer.readUInt16BE(at + 4)
  const scale = buffer.readUInt16BE(at + 6)
  const special = SPECIAL[sign]
  if (special !== undefined) return special
  const group = (index: number): number => {
    return index >= 0 && index < count ? buffer.readUInt16BE(at + HEADER_BYTES + index * 2) : 0
  }
  let text = sign === NEGATIVE ? '-' : ''
  text += weight < 0 ? '0' : String(group(0))
  for (let index = 1; index <= weight; index++) text += fourDigits(group(index))
  if (scale === 0) return text
  let fraction = ''
  for (let index = weight + 1; fraction.length < scale; index++)
    fraction += fourDigits(group(index))
  return `${text}.${fraction.slice(0, scale)}`
}

function fourDigits(group: number): string {
  if (group >= 1000) return String(group)
  return String(group).padStart(4, '0')
}
