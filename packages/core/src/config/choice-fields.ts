import {
  Field,
  fieldConstructor,
  fieldOptions,
  type DefaultedOptions,
  type FieldConstructor,
  type FieldKind,
  type FieldOptions,
  type OptionalOptions,
  type RequiredOptions,
} from './field.ts'

const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  [true, true],
  [false, false],
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
])

/** `true` or `false`; in text also `1` or `0`, in any case. */
export const boolean: FieldConstructor<boolean, boolean> = fieldConstructor(
  (): FieldKind<boolean> => ({
    name: 'boolean',
    expected: 'true or false',
    isSecret: false,
    jsonSchema: () => ({ type: 'boolean' }),
    read: (input) => BOOLEANS.get(typeof input === 'string' ? input.trim().toLowerCase() : input),
    write: String,
  }),
)

/** One of these texts, in exactly this spelling. */
export function oneOf<const V extends string>(
  values: readonly V[],
  defaultValue: NoInfer<V>,
  options?: FieldOptions<NoInfer<V>> & DefaultedOptions,
): Field<V, V>
export function oneOf<const V extends string>(
  values: readonly V[],
  options: FieldOptions<NoInfer<V>> & OptionalOptions,
): Field<V | undefined, V>
export function oneOf<const V extends string>(
  values: readonly V[],
  options?: FieldOptions<NoInfer<V>> & RequiredOptions,
): Field<V, V>
export function oneOf<V extends string>(
  values: readonly V[],
  ...given: readonly [unknown?, unknown?]
): Field<V, V> {
  if (values.length === 0) throw new TypeError('oneOf needs at least one value')
  const kind: FieldKind<V> = {
    name: 'one of',
    expected: values.length === 1 ? `${values[0]}` : `one of ${values.join(', ')}`,
    isSecret: false,
    jsonSchema: () => ({ enum: [...values] }),
    read: (input) => {
      const text = typeof input === 'string' ? input.trim() : undefined
      return values.find((value) => value === input || value === text)
    },
    write: String,
  }
  return new Field(kind, fieldOptions(given))
}
