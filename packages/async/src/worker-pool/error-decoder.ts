import type { EncodedError, EncodedThrown, EncodedValue } from './error-encoder.ts'

/** A class whose errors keep their identity across the border: `instanceof` works for the caller. */
// oxlint-disable-next-line typescript/no-explicit-any -- any constructor will do: it is never called.
export type ErrorClass = abstract new (...args: any[]) => Error

const BUILT_IN: readonly ErrorClass[] = [
  Error,
  AggregateError,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
]
/** Classes made for names that are not known here; a task that makes up names gets `Error`. */
const MAX_DERIVED = 500

/** Makes whole again what {@link encodeThrown} took apart. */
export class ErrorDecoder {
  readonly #known = new Map<string, ErrorClass>()
  readonly #derived = new Map<string, object>()

  constructor(classes: readonly ErrorClass[] = []) {
    for (const known of [...BUILT_IN, ...classes]) this.#known.set(known.name, known)
  }

  /** The value that was thrown: an `Error` with its fields and causes, or whatever else it was. */
  decode(thrown: EncodedThrown): unknown {
    const errors = thrown.errors.map((encoded) => this.#bare(encoded))
    for (const [index, encoded] of thrown.errors.entries()) {
      const error = errors[index]
      if (error !== undefined) addFields(error, encoded, errors)
    }
    return decodeValue(thrown.value, errors)
  }

  #bare(encoded: EncodedError): Error {
    if (encoded.classes[0] === 'DOMException') {
      const exception = new DOMException(encoded.message, encoded.name)
      return define(exception, 'stack', encoded.stack, false)
    }
    const error = new Error(encoded.message)
    Object.setPrototypeOf(error, this.#prototypeOf(encoded.classes))
    define(error, 'stack', encoded.stack, false)
    return error.name === encoded.name ? error : define(error, 'name', encoded.name, false)
  }

  /** The class itself if it is known, else one of its name below the nearest known one. */
  #prototypeOf(classes: readonly string[]): object {
    const index = classes.findIndex((name) => this.#known.has(name))
    const nearest = this.#known.get(classes[index] ?? '') ?? Error
    const name = classes[0]
    if (index === 0 || name === undefined) return nearest.prototype as object
    const key = `${name} ${nearest.name}`
    const known = this.#derived.get(key)
    if (known !== undefined) return known
    if (this.#derived.size >= MAX_DERIVED) return nearest.prototype as object
    const derived = { [name]: class extends (nearest as new () => Error) {} }[name]
    const prototype = (derived?.prototype ?? Error.prototype) as object
    this.#derived.set(key, prototype)
    return prototype
  }
}

function addFields(error: Error, encoded: EncodedError, errors: readonly Error[]): void {
  for (const [key, value, isEnumerable] of encoded.fields) {
    define(error, key, decodeValue(value, errors), isEnumerable)
  }
}

function decodeValue(value: EncodedValue, errors: readonly Error[]): unknown {
  switch (value[0]) {
    case 'value':
    case 'text':
      return value[1]
    case 'error':
      return errors[value[1]]
    case 'list':
      return value[1].map((item) => decodeValue(item, errors))
    case 'record':
      return Object.fromEntries(value[1].map(([k, item]) => [k, decodeValue(item, errors)]))
  }
}

function define<E extends Error>(error: E, key: string, value: unknown, enumerable: boolean): E {
  return Object.defineProperty(error, key, {
    value,
    enumerable,
    writable: true,
    configurable: true,
  })
}
