import {
  Field,
  fieldOptions,
  type DefaultedOptions,
  type FieldKind,
  type FieldOptions,
  type OptionalOptions,
  type RequiredOptions,
} from './field.ts'
import { rangeText, requireOrder } from '../range.ts'

/** Limits of a list. */
export interface ListOptions {
  /** Fewest entries. @default 0 */
  readonly minLength?: number
  /** Most entries. @default Infinity */
  readonly maxLength?: number
}

type ListFieldOptions<I> = ListOptions & FieldOptions<readonly I[]>

/**
 * A list of values of one field. In text they are separated by commas, and white space around them
 * does not count; in JSON and code it is an array.
 */
export function list<T, I>(
  item: Field<T, I>,
  defaultValue: readonly I[],
  options?: ListFieldOptions<I> & DefaultedOptions,
): Field<readonly T[], readonly I[]>
export function list<T, I>(
  item: Field<T, I>,
  options: ListFieldOptions<I> & OptionalOptions,
): Field<readonly T[] | undefined, readonly I[]>
export function list<T, I>(
  item: Field<T, I>,
  options?: ListFieldOptions<I> & RequiredOptions,
): Field<readonly T[], readonly I[]>
export function list<T, I>(
  item: Field<T, I>,
  ...given: readonly [unknown?, unknown?]
): Field<readonly T[], readonly I[]> {
  const options = fieldOptions(given) as ListFieldOptions<I>
  return new Field(listKind(item, options), options)
}

function listKind<T>(item: Field<T>, options: ListOptions): FieldKind<readonly T[]> {
  const { minLength = 0, maxLength = Infinity } = options
  requireOrder('minLength', minLength, 'maxLength', maxLength)
  const readAll = (
    inputs: readonly unknown[],
    read: (input: never) => T | undefined,
  ): readonly T[] | undefined => {
    if (inputs.length < minLength || inputs.length > maxLength) return undefined
    const values = inputs.map((input) => read(input as never))
    return values.includes(undefined) ? undefined : Object.freeze(values as T[])
  }
  const readText = (text: string): readonly T[] | undefined =>
    readAll(
      text.split(',').map((part) => part.trim()),
      (part: string) => (part === '' ? undefined : item.readText(part)),
    )
  return {
    name: `list of ${item.kind.name}`,
    expected:
      `a list${rangeText(options.minLength, options.maxLength)}, ` +
      `separated by commas, each ${item.kind.expected}`,
    isSecret: item.kind.isSecret,
    jsonSchema: () => ({
      type: 'array',
      items: item.kind.jsonSchema(),
      ...(options.minLength !== undefined && { minItems: minLength }),
      ...(options.maxLength !== undefined && { maxItems: maxLength }),
    }),
    readText,
    read(input) {
      if (typeof input === 'string') return readText(input)
      return Array.isArray(input) ? readAll(input, (each) => item.kind.read(each)) : undefined
    },
    write: (values) => values.map((value) => item.kind.write(value)).join(','),
  }
}
