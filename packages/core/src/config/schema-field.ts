import { inspect } from 'node:util'
import { Secret } from '../secret.ts'
import {
  Field,
  type FieldKind,
  type FieldOptions,
  type JsonSchema,
  type OptionalOptions,
  type RequiredOptions,
} from './field.ts'
import { frozenCopy } from './frozen-copy.ts'
import { unsealed } from './text-fields.ts'

/** The part of a Standard Schema (standardschema.dev) that is used here; zod's schemas have it. */
export interface StandardSchema<I = unknown, O = I> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<O> | Promise<StandardResult<O>>
    readonly types?: { readonly input: I; readonly output: O } | undefined
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: string }) => Record<string, unknown>
    }
  }
}

/** What a {@link StandardSchema} says of a value. */
export type StandardResult<O> =
  | { readonly value: O; readonly issues?: undefined }
  | { readonly issues: readonly unknown[] }

/** What a field with a schema of its own must be told. */
export interface SchemaOptions {
  /**
   * Completes "expected …" in errors. The schema's own messages are not shown, for they may quote
   * the value.
   */
  readonly expected: string
  /** Whether text of the environment goes to the schema as it is or parsed as JSON. @default 'text' */
  readonly format?: 'text' | 'json'
}

/**
 * A value that a Standard Schema checks and transforms, synchronously. Plain objects and arrays in
 * the result are copied and frozen; instances of classes are handed on as they are.
 */
export function schema<I, O>(
  definition: StandardSchema<I, O>,
  options: SchemaFieldOptions<NoInfer<I>> & OptionalOptions,
): Field<O | undefined, I>
export function schema<I, O>(
  definition: StandardSchema<I, O>,
  options: SchemaFieldOptions<NoInfer<I>> & RequiredOptions,
): Field<O, I>
export function schema<I, O>(
  definition: StandardSchema<I, O>,
  options: SchemaFieldOptions<I>,
): Field<O, I> {
  return new Field<O, I>({ ...schemaKind(definition, options), write: writeValue }, options)
}

/** {@link schema} for a value that is never shown; it comes as a {@link Secret}. */
export function secretSchema<I, O>(
  definition: StandardSchema<I, O>,
  options: SchemaFieldOptions<NoInfer<I>> & OptionalOptions,
): Field<Secret<O> | undefined, I>
export function secretSchema<I, O>(
  definition: StandardSchema<I, O>,
  options: SchemaFieldOptions<NoInfer<I>> & RequiredOptions,
): Field<Secret<O>, I>
export function secretSchema<I, O>(
  definition: StandardSchema<I, O>,
  options: SchemaFieldOptions<I>,
): Field<Secret<O>, I> {
  const { read, readText, ...kind } = schemaKind(definition, options)
  const seal = (value: O | undefined): Secret<O> | undefined =>
    value === undefined ? undefined : new Secret(value)
  const secretKind: FieldKind<Secret<O>> = {
    ...kind,
    isSecret: true,
    read: (input) => seal(read(unsealed(input))),
    readText: (text) => seal(readText(text)),
    write: String,
  }
  return new Field(secretKind, options)
}

type SchemaFieldOptions<I> = SchemaOptions & FieldOptions<I>
type SchemaKind<O> = Omit<Required<FieldKind<O>>, 'write'>

function schemaKind<I, O>(definition: StandardSchema<I, O>, options: SchemaOptions): SchemaKind<O> {
  const standard = definition['~standard']
  const read = (input: unknown): O | undefined => {
    const result = resultOf(() => standard.validate(frozenCopy(input)))
    if (result instanceof Promise) {
      // Its outcome is of no use to anybody: the definition is wrong.
      result.catch(() => {})
      throw new TypeError(
        `the schema of ${options.expected} must validate synchronously and not throw`,
      )
    }
    return result.issues === undefined ? frozenCopy(result.value) : undefined
  }
  return {
    name: 'schema',
    expected: options.expected,
    isSecret: false,
    jsonSchema: () => jsonSchemaOf(definition),
    read,
    readText: (text) => (options.format === 'json' ? readJson(text, read) : read(text)),
  }
}

/** A transform that throws refuses the value; its error is not shown, for it may quote the value. */
function resultOf<R>(validate: () => R): R | { readonly issues: readonly unknown[] } {
  try {
    return validate()
  } catch (error) {
    return { issues: [error] }
  }
}

function jsonSchemaOf(definition: StandardSchema): JsonSchema {
  try {
    return definition['~standard'].jsonSchema?.input({ target: 'draft-2020-12' }) ?? {}
  } catch {
    // By the standard this says that JSON Schema has no words for it: then anything is allowed.
    return {}
  }
}

function readJson<O>(text: string, read: (value: unknown) => O | undefined): O | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  return read(value)
}

function writeValue(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    // JSON has no words for bigint and for what is in itself.
    return inspect(value, { breakLength: Infinity })
  }
}
