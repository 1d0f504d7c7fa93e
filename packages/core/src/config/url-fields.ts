import type { Secret } from '../secret.ts'
import { fieldConstructor, type FieldConstructor, type FieldKind } from './field.ts'
import { sealed, unsealed } from './text-fields.ts'

/** Limits of a URL. */
export interface UrlOptions {
  /** Schemes allowed, without the colon: `['redis', 'rediss']`. @default any */
  readonly schemes?: readonly string[]
}

/**
 * A URL without credentials, taken as it is written. One that holds a user name or a password is
 * refused, because this field is shown: declare it as {@link secretUrl}.
 */
export const url: FieldConstructor<string, string, UrlOptions> = fieldConstructor(
  (options: UrlOptions): FieldKind<string> => ({
    name: 'url',
    expected: `${expectedUrl(options)} without user name and password`,
    isSecret: false,
    jsonSchema: () => ({ type: 'string', format: 'uri' }),
    read(input) {
      const parts = splitUrl(input, options)
      return parts === undefined || parts.hasCredentials ? undefined : parts.text
    },
    write: (value) => value,
  }),
)

/**
 * A URL that may hold a password, as a {@link Secret} of its text. `describe()` and the generated
 * documentation show its scheme and hosts. Several hosts (`mongodb://a,b/db`) are allowed.
 */
export const secretUrl: FieldConstructor<
  Secret<string>,
  string | Secret<string>,
  UrlOptions
> = fieldConstructor((options: UrlOptions): FieldKind<Secret<string>> => ({
  name: 'secret url',
  expected: `${expectedUrl(options)}, with reserved characters of its password percent-encoded`,
  isSecret: true,
  jsonSchema: () => ({ type: 'string' }),
  read: (input) => sealed(splitUrl(unsealed(input), options)?.text),
  write: (value) => redactUrl(value.reveal()),
}))

interface UrlParts {
  readonly text: string
  readonly scheme: string
  readonly hasCredentials: boolean
  readonly hosts: string
  /** Path, query and fragment. */
  readonly rest: string
}

const SCHEME = /^[a-z][a-z0-9+.-]*$/
const URL_FORM =
  /^(?<scheme>[a-z][a-z0-9+.-]*):\/\/(?:(?<credentials>[^/?#]*)@)?(?<hosts>[^/?#@]*)(?<rest>[^\s]*)$/i

function splitUrl(input: unknown, { schemes }: UrlOptions): UrlParts | undefined {
  if (typeof input !== 'string') return undefined
  const text = input.trim()
  const groups = URL_FORM.exec(text)?.groups
  if (groups === undefined) return undefined
  const { scheme = '', credentials, hosts = '', rest = '' } = groups
  if (schemes !== undefined && !schemes.includes(scheme.toLowerCase())) return undefined
  const login = credentials === undefined ? '' : `${credentials}@`
  // Drivers take several hosts, the URL standard one: each is checked by itself.
  const isUrl = hosts.split(',').every((host) => URL.canParse(`${scheme}://${login}${host}${rest}`))
  if (!isUrl) return undefined
  return { text, scheme, hosts, rest, hasCredentials: credentials !== undefined }
}

/** Scheme and hosts alone: a password may stand in the credentials, a token in path or query. */
function redactUrl(text: string): string {
  const parts = splitUrl(text, {})
  // An `@` further right means that a `/`, `?` or `#` of the password was not encoded, and what
  // looks like the host is a part of it.
  if (parts === undefined || parts.rest.includes('@')) return '***'
  const login = parts.hasCredentials ? '***@' : ''
  return `${parts.scheme}://${login}${parts.hosts}${parts.rest.length > 1 ? '/***' : ''}`
}

function expectedUrl({ schemes }: UrlOptions): string {
  if (schemes === undefined) return 'a URL'
  for (const scheme of schemes) {
    if (SCHEME.test(scheme)) continue
    throw new TypeError(`schemes must be like https, got "${scheme}"`)
  }
  return `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`
}
