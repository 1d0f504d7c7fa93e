import { inspect } from 'node:util'

/** A thrown value as data that any channel can carry; {@link decodeThrown} makes it whole again. */
export interface EncodedThrown {
  /** Every error that can be reached, each once, so that cycles of causes come back as cycles. */
  readonly errors: readonly EncodedError[]
  readonly value: EncodedValue
}

export interface EncodedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Names of the constructors, the own one first, down to `Error`. */
  readonly classes: readonly string[]
  readonly fields: readonly EncodedField[]
}

export type EncodedField = readonly [key: string, value: EncodedValue, enumerable: boolean]

/** A value as it is, an error's index, a list, a record, or the text of what cannot be cloned. */
export type EncodedValue =
  | readonly ['value', unknown]
  | readonly ['error', number]
  | readonly ['list', readonly EncodedValue[]]
  | readonly ['record', readonly (readonly [string, EncodedValue])[]]
  | readonly ['text', string]

const MAX_ERRORS = 100
const MAX_DEPTH = 8
const MAX_TEXT = 1000

/** Never throws, whatever it is given: a getter that throws becomes a text. */
export function encodeThrown(thrown: unknown): EncodedThrown {
  const encoder = new ErrorEncoder()
  const value = encoder.value(thrown, 0)
  return { errors: encoder.errors, value }
}

/** For a channel that cannot carry one of the fields. */
export function withoutFields(thrown: EncodedThrown): EncodedThrown {
  const value: EncodedValue = thrown.value[0] === 'error' ? thrown.value : textOf(thrown.value[1])
  return { errors: thrown.errors.map((error) => ({ ...error, fields: [] })), value }
}

class ErrorEncoder {
  readonly errors: EncodedError[] = []
  readonly #seen = new Map<Error, number>()

  value(value: unknown, depth: number): EncodedValue {
    if (typeof value === 'function' || typeof value === 'symbol') return textOf(value)
    if (typeof value !== 'object' || value === null) return ['value', value]
    try {
      if (value instanceof Error) return this.#error(value, depth)
      if (depth < MAX_DEPTH && Array.isArray(value)) {
        return ['list', value.map((item) => this.value(item, depth + 1))]
      }
      if (depth < MAX_DEPTH && isRecord(value)) {
        return ['record', Object.entries(value).map(([k, v]) => [k, this.value(v, depth + 1)])]
      }
      structuredClone(value)
      return ['value', value]
    } catch {
      return textOf(value)
    }
  }

  #error(error: Error, depth: number): EncodedValue {
    const known = this.#seen.get(error)
    if (known !== undefined) return ['error', known]
    if (this.errors.length >= MAX_ERRORS) return textOf(error)
    const index = this.errors.length
    this.#seen.set(error, index)
    const stack = read(error, 'stack')
    const encoded = {
      name: String(read(error, 'name')),
      message: String(read(error, 'message')),
      stack: typeof stack === 'string' ? stack : undefined,
      classes: classNames(error),
      fields: [] as EncodedField[],
    }
    this.errors.push(encoded)
    for (const key of Object.getOwnPropertyNames(error)) {
      if (key === 'stack' || key === 'message') continue
      const isEnumerable = Object.prototype.propertyIsEnumerable.call(error, key)
      // An error that holds an error is one level deeper only in name: a chain of causes is kept.
      encoded.fields.push([key, this.value(read(error, key), Math.min(depth, 1)), isEnumerable])
    }
    return ['error', index]
  }
}

function read(error: Error, key: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[key]
  } catch (thrown) {
    return `[getter threw ${inspect(thrown, { depth: 0 })}]`
  }
}

function classNames(error: Error): string[] {
  const names: string[] = []
  let prototype: object | null = Object.getPrototypeOf(error)
  while (prototype !== null && prototype !== Object.prototype && names.length < 20) {
    const name = Object.hasOwn(prototype, 'constructor') ? prototype.constructor.name : ''
    if (name !== '') names.push(name)
    prototype = Object.getPrototypeOf(prototype)
  }
  return names
}

function isRecord(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function textOf(value: unknown): EncodedValue {
  try {
    return ['text', inspect(value, { depth: 1 }).slice(0, MAX_TEXT)]
  } catch {
    return ['text', typeof value]
  }
}
