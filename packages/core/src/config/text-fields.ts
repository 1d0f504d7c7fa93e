import { Secret } from '../secret.ts'
import { fieldConstructor, type FieldConstructor, type FieldKind } from './field.ts'
import { rangeText, requireOrder } from '../range.ts'

/** Limits of a text. */
export interface TextOptions {
  /** Fewest characters. @default 0 */
  readonly minLength?: number
  /** Most characters. @default Infinity */
  readonly maxLength?: number
  /** What the whole text must match; give {@link expected} with it. @default anything */
  readonly pattern?: RegExp
  /** Completes "expected …" in errors. @default from the limits */
  readonly expected?: string
}

/** Text, taken as it is, white space included. */
export const string: FieldConstructor<string, string, TextOptions> = fieldConstructor(
  (options: TextOptions): FieldKind<string> => ({
    name: 'string',
    expected: options.expected ?? expectedText('text', options),
    isSecret: false,
    jsonSchema: () => textSchema(options),
    read: textReader(options),
    write: (value) => value,
  }),
)

/** Text that is never shown: a password, a key, a token. Its value is a {@link Secret}. */
export const secret: FieldConstructor<
  Secret<string>,
  string | Secret<string>,
  TextOptions
> = fieldConstructor((options: TextOptions): FieldKind<Secret<string>> => {
  const read = textReader(options)
  return {
    name: 'secret',
    expected: options.expected ?? expectedText('secret text', options),
    isSecret: true,
    jsonSchema: () => textSchema(options),
    read: (input) => sealed(read(unsealed(input))),
    write: String,
  }
})

/** The value in a secret that code may give in place of it. */
export function unsealed(input: unknown): unknown {
  return input instanceof Secret ? input.reveal() : input
}

/** A secret of the text, if there is one. */
export function sealed(text: string | undefined): Secret<string> | undefined {
  return text === undefined ? undefined : new Secret(text)
}

function textReader(options: TextOptions): (input: unknown) => string | undefined {
  const { minLength = 0, maxLength = Infinity, pattern } = options
  requireOrder('minLength', minLength, 'maxLength', maxLength)
  if (pattern !== undefined && options.expected === undefined) {
    throw new TypeError('pattern needs expected: what the text must be, in words')
  }
  const whole = pattern && new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gy]/g, ''))
  return (input) => {
    if (typeof input !== 'string') return undefined
    if (input.length < minLength || input.length > maxLength) return undefined
    return whole === undefined || whole.test(input) ? input : undefined
  }
}

function expectedText(what: string, { minLength, maxLength }: TextOptions): string {
  return `${what}${rangeText(minLength, maxLength, String, ' characters')}`
}

function textSchema({ minLength, maxLength, pattern }: TextOptions): Record<string, unknown> {
  return {
    type: 'string',
    ...(minLength !== undefined && { minLength }),
    ...(maxLength !== undefined && { maxLength }),
    ...(pattern !== undefined && { pattern: `^(?:${pattern.source})$` }),
  }
}
