/** Bounds of a quantity, both included, in its base unit. */
export interface QuantityLimits {
  /** @default 0 */
  readonly min?: number
  /** @default Number.MAX_SAFE_INTEGER */
  readonly max?: number
}

/** What {@link readQuantity} must know of a quantity. */
export interface QuantityKind {
  /** With its article, as messages say it: `a duration`. */
  readonly name: string
  /** How it may be written, for messages. */
  readonly forms: string
  /** Base units in one of each unit, by lower-case name, largest first. */
  readonly units: ReadonlyMap<string, bigint>
  /** Whether the units may be added up, largest first: `1h30m`. */
  readonly isCompound: boolean
  /** Writes a limit. */
  readonly format: (value: number) => string
}

const COMPONENT = /(?<whole>\d{1,16})(?:\.(?<fraction>\d{1,12}))?\s?(?<unit>[a-z]+)\s?/iy

/**
 * A whole number of base units, computed without rounding.
 *
 * @throws TypeError for another shape of input, RangeError outside the limits. Neither shows the
 *   input, which may be a secret in the wrong place.
 */
export function readQuantity(
  input: unknown,
  kind: QuantityKind,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: QuantityLimits,
): number {
  const value = typeof input === 'string' ? readText(input, kind) : input
  if (typeof value !== 'number') throw misshapen(kind, shapeOf(input))
  if (!Number.isInteger(value)) throw misshapen(kind, 'a number that is not whole')
  if (value < min || value > max) {
    const side = value < min ? `below ${kind.format(min)}` : `above ${kind.format(max)}`
    throw new RangeError(
      `${kind.name} must lie between ${kind.format(min)} and ${kind.format(max)}; got one ${side}`,
    )
  }
  return value
}

function readText(input: string, kind: QuantityKind): number {
  const text = input.trim()
  if (text === '0') return 0
  let total = 0n
  let lastSize: bigint | undefined
  COMPONENT.lastIndex = 0
  while (COMPONENT.lastIndex < text.length) {
    const groups = COMPONENT.exec(text)?.groups
    const size = kind.units.get(groups?.['unit']?.toLowerCase() ?? '')
    const isInOrder =
      lastSize === undefined || (kind.isCompound && size !== undefined && size < lastSize)
    if (groups === undefined || size === undefined || !isInOrder) {
      throw misshapen(kind, shapeOf(input))
    }
    total += scaled(groups['whole'] ?? '', groups['fraction'] ?? '', size, kind)
    lastSize = size
  }
  if (lastSize === undefined) throw misshapen(kind, shapeOf(input))
  return Number(total)
}

/** `whole.fraction · size`, exactly. */
function scaled(whole: string, fraction: string, size: bigint, kind: QuantityKind): bigint {
  const numerator = BigInt(whole + fraction) * size
  const denominator = 10n ** BigInt(fraction.length)
  if (numerator % denominator !== 0n) throw misshapen(kind, 'a fraction of the smallest unit')
  return numerator / denominator
}

function misshapen(kind: QuantityKind, got: string): TypeError {
  return new TypeError(`${kind.name} is ${kind.forms}; got ${got}`)
}

function shapeOf(input: unknown): string {
  if (typeof input !== 'string') return input === null ? 'null' : `a value of type ${typeof input}`
  const text = input.trim()
  if (text === '') return 'empty text'
  if (/^\d+(?:\.\d+)?$/.test(text)) return 'a number without a unit'
  if (text.startsWith('-')) return 'a negative one'
  return `text of ${input.length} characters`
}
