import { fieldConstructor, type FieldConstructor, type FieldKind } from './field.ts'
import { rangeText, requireOrder } from '../range.ts'

/** Limits of a number, both included. */
export interface NumberOptions {
  /** @default the smallest number of the field's kind */
  readonly min?: number
  /** @default the greatest number of the field's kind */
  readonly max?: number
}

const INTEGER = /^[+-]?\d{1,16}$/
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

/** A whole number that is exact in a double. */
export const integer: FieldConstructor<number, number, NumberOptions> = fieldConstructor(
  (options: NumberOptions) => integerKind('integer', 'an integer', options),
)

/** A TCP port. 0, which lets the system choose, is allowed unless `min` says otherwise. */
export const port: FieldConstructor<number, number, NumberOptions> = fieldConstructor(
  (options: NumberOptions) => integerKind('port', 'a port', { min: 0, max: 65_535, ...options }),
)

/** A finite number. */
export const number: FieldConstructor<number, number, NumberOptions> = fieldConstructor(
  (options: NumberOptions) =>
    numberKind('number', 'a number', options, (input) => {
      const value = typeof input === 'string' ? numberOf(input, DECIMAL) : input
      return Number.isFinite(value) ? (value as number) : undefined
    }),
)

function integerKind(name: string, noun: string, options: NumberOptions): FieldKind<number> {
  return numberKind(name, noun, options, (input) => {
    const value = typeof input === 'string' ? numberOf(input, INTEGER) : input
    return Number.isSafeInteger(value) ? (value as number) : undefined
  })
}

function numberKind(
  name: string,
  noun: string,
  options: NumberOptions,
  read: (input: unknown) => number | undefined,
): FieldKind<number> {
  const { min = -Infinity, max = Infinity } = options
  requireOrder('min', min, 'max', max)
  return {
    name,
    expected: `${noun}${rangeText(options.min, options.max)}`,
    isSecret: false,
    jsonSchema: () => ({
      type: name === 'number' ? 'number' : 'integer',
      ...(options.min !== undefined && { minimum: min }),
      ...(options.max !== undefined && { maximum: max }),
    }),
    read(input) {
      const value = read(input)
      return value !== undefined && value >= min && value <= max ? value + 0 : undefined
    },
    write: String,
  }
}

function numberOf(text: string, form: RegExp): number {
  return form.test(text.trim()) ? Number(text) : NaN
}
