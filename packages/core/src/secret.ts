import { inspect } from 'node:util'

const MASK = '***'

/**
 * A value that is only shown on purpose. In text, templates, JSON, `util.inspect`, logs and errors
 * it reads `***`; {@link reveal} hands it to the client that needs it. It lies in a private field, so
 * copying, spreading and iterating do not find it.
 */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
    Object.freeze(this)
  }

  /** The value itself. Call it where it is used, and keep the secret, not the result. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [Symbol.toPrimitive](): string {
    return MASK
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, { value: () => MASK })
  }
}
