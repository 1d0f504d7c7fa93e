import {
  formatBytes,
  formatDuration,
  parseBytes,
  parseDuration,
  type BytesLimits,
  type DurationLimits,
} from '../units/index.ts'
import { fieldConstructor, type FieldConstructor, type FieldKind } from './field.ts'
import { rangeText, requireOrder } from '../range.ts'

/** Limits of a duration, both included, in milliseconds or as `parseDuration` reads them. */
export interface DurationOptions {
  /** @default 0 */
  readonly min?: string | number
  /** @default Number.MAX_SAFE_INTEGER milliseconds */
  readonly max?: string | number
}

/** Limits of a size, both included, in bytes or as `parseBytes` reads them. */
export interface BytesOptions {
  /** @default 0 */
  readonly min?: string | number
  /** @default Number.MAX_SAFE_INTEGER bytes */
  readonly max?: string | number
}

/** A duration such as `5m` or `1h30m`. Its value is a whole number of milliseconds. */
export const duration: FieldConstructor<number, string | number, DurationOptions> =
  fieldConstructor(({ min, max }: DurationOptions) => {
    const limits: DurationLimits = {
      ...(min !== undefined && { minMs: parseDuration(min) }),
      ...(max !== undefined && { maxMs: parseDuration(max) }),
    }
    return unitKind({
      name: 'duration',
      expected: 'a duration such as 250ms, 5m or 1h30m',
      min: limits.minMs,
      max: limits.maxMs,
      parse: (input) => parseDuration(input, limits),
      format: formatDuration,
    })
  })

/** A size such as `64mb` or `64MiB`, in powers of 1024. Its value is a whole number of bytes. */
export const bytes: FieldConstructor<number, string | number, BytesOptions> = fieldConstructor(
  ({ min, max }: BytesOptions) => {
    const limits: BytesLimits = {
      ...(min !== undefined && { minBytes: parseBytes(min) }),
      ...(max !== undefined && { maxBytes: parseBytes(max) }),
    }
    return unitKind({
      name: 'bytes',
      expected: 'a size such as 512kb, 64MiB or 1.5gb',
      min: limits.minBytes,
      max: limits.maxBytes,
      parse: (input) => parseBytes(input, limits),
      format: (value) => formatBytes(value),
    })
  },
)

interface Unit {
  readonly name: string
  readonly expected: string
  readonly min: number | undefined
  readonly max: number | undefined
  readonly parse: (input: string | number) => number
  readonly format: (value: number) => string
}

function unitKind({ name, expected, min, max, parse, format }: Unit): FieldKind<number> {
  if (min !== undefined && max !== undefined) requireOrder('min', min, 'max', max, format)
  const range = rangeText(min, max, format)
  return {
    name,
    expected: range === '' ? expected : `${expected},${range}`,
    isSecret: false,
    jsonSchema: () => ({
      anyOf: [
        { type: 'string' },
        {
          type: 'integer',
          minimum: min ?? 0,
          ...(max !== undefined && { maximum: max }),
        },
      ],
    }),
    read(input) {
      try {
        return parse(input as string | number)
      } catch (error) {
        if (error instanceof TypeError || error instanceof RangeError) return undefined
        throw error
      }
    },
    write: format,
  }
}
