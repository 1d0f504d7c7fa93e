import { readQuantity, type QuantityKind } from './quantity.ts'

/** Bounds of a duration, both included. */
export interface DurationLimits {
  /** @default 0 */
  readonly minMs?: number
  /** @default Number.MAX_SAFE_INTEGER */
  readonly maxMs?: number
}

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['d', 86_400_000n],
  ['h', 3_600_000n],
  ['m', 60_000n],
  ['s', 1000n],
  ['ms', 1n],
])

/**
 * Milliseconds of `'250ms'`, `'5m'`, `'1.5s'` or `'1h30m'`: whole or decimal numbers with the units
 * `d`, `h`, `m`, `s`, `ms`, the larger first, each at most once. A number is taken as milliseconds,
 * but text without a unit is refused, because half of its readers would mean seconds; only `'0'`
 * needs none. The result is a whole number.
 *
 * @throws TypeError when the input has another shape, RangeError when it lies outside the limits.
 */
export function parseDuration(
  input: string | number,
  { minMs, maxMs }: DurationLimits = {},
): number {
  return readQuantity(input, DURATION, {
    ...(minMs !== undefined && { min: minMs }),
    ...(maxMs !== undefined && { max: maxMs }),
  })
}

/**
 * The shortest exact text of a duration, such as `1h30m`; {@link parseDuration} reads it back.
 * Fractions of a millisecond are rounded away.
 *
 * @throws RangeError when `durationMs` is negative or not finite.
 */
export function formatDuration(durationMs: number): string {
  if (!(durationMs >= 0 && durationMs <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(
      `durationMs must lie between 0 and ${Number.MAX_SAFE_INTEGER}, got ${durationMs}`,
    )
  }
  let rest = BigInt(Math.round(durationMs))
  let text = ''
  for (const [unit, size] of UNITS) {
    const count = rest / size
    if (count > 0n) text += `${count}${unit}`
    rest %= size
  }
  return text === '' ? '0ms' : text
}

const DURATION: QuantityKind = {
  name: 'a duration',
  forms: 'a whole number of milliseconds, or text with units such as 250ms, 5m or 1h30m',
  units: UNITS,
  isCompound: true,
  format: formatDuration,
}
