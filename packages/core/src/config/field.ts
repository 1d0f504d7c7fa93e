import type { Profile } from './profile.ts'

/** What every field may be told; `I` is what its value is written as in code. */
export interface FieldOptions<I> {
  /** Used when no source sets the value. @default none: the value is required */
  readonly default?: I
  /** Used before {@link default} in these deployment profiles. @default none */
  readonly profiles?: { readonly [P in Profile]?: I }
  /** Whether the value may be missing: it is `undefined` then. @default false */
  readonly optional?: boolean
  /** What the value decides, in one sentence, for the generated documentation. @default none */
  readonly description?: string
}

/** A JSON Schema, draft 2020-12. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

/** How one kind of value is read, written and documented. */
export interface FieldKind<T> {
  /** A word for documentation: `duration`. */
  readonly name: string
  /** Completes "expected …": `an integer from 1 to 10`. Shown in errors, so never a value. */
  readonly expected: string
  /** Whether the value must never be shown. */
  readonly isSecret: boolean
  /** The value of a text or of a value from code or JSON; `undefined` when it is not one. */
  read(input: unknown): T | undefined
  /** {@link read} for text of the environment or of a mounted file. @default `read` */
  readText?(text: string): T | undefined
  /** What the config file may hold. */
  jsonSchema(): JsonSchema
  /** The value as the environment would hold it; masked when it is secret. */
  write(value: T): string
}

/** One value of a config definition. Made by the field constructors: `string`, `duration`, … */
export class Field<T, I = unknown> {
  readonly kind: FieldKind<T>
  readonly isOptional: boolean
  readonly description: string | undefined
  /** Private, so that printing a definition does not show the default of a secret. */
  readonly #options: FieldOptions<I>

  constructor(kind: FieldKind<T>, options: FieldOptions<I>) {
    this.kind = kind
    this.isOptional = options.optional === true
    this.description = options.description
    this.#options = options
    Object.freeze(this)
  }

  /** The default for all profiles, as the definition gave it. */
  defaultInput(): I | undefined {
    return this.#options.default
  }

  /** The default of one profile alone, as the definition gave it. */
  profileInput(profile: Profile): I | undefined {
    return this.#options.profiles?.[profile]
  }

  /** Reads text of the environment or of a mounted file. */
  readText(text: string): T | undefined {
    return this.kind.readText === undefined ? this.kind.read(text) : this.kind.readText(text)
  }
}

/**
 * A field constructor: takes a default, or a default and options, or options alone. Without a
 * default the value is required, unless the options say `optional: true`.
 */
export interface FieldConstructor<T, I, O extends object = object> {
  (defaultValue: I, options?: O & FieldOptions<I> & DefaultedOptions): Field<T, I>
  (options: O & FieldOptions<I> & OptionalOptions): Field<T | undefined, I>
  (options?: O & FieldOptions<I> & RequiredOptions): Field<T, I>
}

/** Options of a field that has its default already. */
export interface DefaultedOptions {
  readonly default?: never
  readonly optional?: never
}

/** Options of a field whose value may be missing. */
export interface OptionalOptions {
  readonly optional: true
}

/** Options of a field whose value is there. */
export interface RequiredOptions {
  readonly optional?: false
}

/** A {@link FieldConstructor} from a function that makes the kind out of the options. */
export function fieldConstructor<T, I, O extends object = object>(
  createKind: (options: O) => FieldKind<T>,
): FieldConstructor<T, I, O> {
  return (...given: readonly [unknown?, unknown?]) => {
    const options = fieldOptions(given) as O & FieldOptions<I>
    return new Field(createKind(options), options)
  }
}

/** The options of a field constructor, whichever way the default was given. */
export function fieldOptions([first, second]: readonly [unknown?, unknown?]): object {
  const isOptions = typeof first === 'object' && first !== null && !Array.isArray(first)
  if (isOptions) return first
  return { ...(second as object | undefined), ...(first !== undefined && { default: first }) }
}
