import { requireWhole } from '../range.ts'
import { readQuantity, type QuantityKind } from './quantity.ts'

/** Bounds of a size, both included. */
export interface BytesLimits {
  /** @default 0 */
  readonly minBytes?: number
  /** @default Number.MAX_SAFE_INTEGER */
  readonly maxBytes?: number
}

const KIBI = 1024n
const SIZES: readonly (readonly [unit: string, size: bigint])[] = [
  ['PiB', KIBI ** 5n],
  ['TiB', KIBI ** 4n],
  ['GiB', KIBI ** 3n],
  ['MiB', KIBI ** 2n],
  ['KiB', KIBI],
  ['B', 1n],
]
/** `mb` beside `mib`, the same size. */
const UNITS: ReadonlyMap<string, bigint> = new Map(
  SIZES.flatMap(([unit, size]) => [
    [unit.toLowerCase(), size],
    [unit.toLowerCase().replace('i', ''), size],
  ]),
)

/**
 * Bytes of `'64mb'`, `'64MiB'` or `'1.5 GB'`, in any case. As in `redis.conf` and
 * `postgresql.conf`, `kb`, `mb`, `gb`, `tb`, `pb` are powers of 1024, the same as `KiB` … `PiB`;
 * the one-letter forms `k`, `m`, `g`, which Redis reads as powers of 1000, are refused. A number is
 * taken as bytes, but text without a unit is refused; only `'0'` needs none. The result is a whole
 * number.
 *
 * @throws TypeError when the input has another shape, RangeError when it lies outside the limits.
 */
export function parseBytes(
  input: string | number,
  { minBytes, maxBytes }: BytesLimits = {},
): number {
  return readQuantity(input, SIZE, {
    ...(minBytes !== undefined && { min: minBytes }),
    ...(maxBytes !== undefined && { max: maxBytes }),
  })
}

/** How {@link formatBytes} writes. */
export interface FormatBytesOptions {
  /** Rounds to so many significant digits, for people: `1.18MiB`. 1 to 15. @default exact */
  readonly significantDigits?: number
}

/**
 * The text of a size in the largest unit that is exact with three decimals at most, such as `64MiB`
 * or `1.5KiB`, and in bytes if none is; {@link parseBytes} reads it back.
 *
 * @throws RangeError when `sizeBytes` is negative or no safe integer, or the digits are out of range.
 */
export function formatBytes(
  sizeBytes: number,
  { significantDigits }: FormatBytesOptions = {},
): string {
  requireWhole('sizeBytes', sizeBytes, 0, Number.MAX_SAFE_INTEGER)
  if (significantDigits !== undefined) return approximate(sizeBytes, significantDigits)
  const size = BigInt(sizeBytes)
  const exact = SIZES.find(([, each]) => size >= each && (size * 1000n) % each === 0n)
  if (exact === undefined || exact[1] === 1n) return `${sizeBytes}B`
  return `${Number((size * 1000n) / exact[1]) / 1000}${exact[0]}`
}

function approximate(sizeBytes: number, digits: number): string {
  requireWhole('significantDigits', digits, 1, 15)
  const [unit, unitSize] = SIZES.find(([, each]) => sizeBytes >= Number(each)) ?? ['B', 1n]
  return `${Number((sizeBytes / Number(unitSize)).toPrecision(digits))}${unit}`
}

const SIZE: QuantityKind = {
  name: 'a size',
  forms: 'a whole number of bytes, or text with a unit such as 512kb, 64MiB or 1.5gb',
  units: UNITS,
  isCompound: false,
  format: (value) => formatBytes(value),
}
