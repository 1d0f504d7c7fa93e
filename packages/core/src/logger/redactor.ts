import { redactText } from '../redact.ts'
import { Secret } from '../secret.ts'
import { errorFields, type Entry } from './error-fields.ts'

const MASK = '***'
const MAX_DEPTH = 8
const MAX_ENTRIES = 100

/** Names, in lower case without `-` and `_`, whose values are secrets more often than not. */
const SECRET_KEY =
  /password|passwd|passphrase|secret|apikey|accesskey|privatekey|signingkey|encryptionkey|credential|authorization|cookie|connectionstring|tokens?$|^(?:auth|pwd|jwt|dsn)$/

/**
 * A function that copies a value for the log: secrets masked, errors as plain objects with code,
 * fields and causes, cycles cut, depth and width limited. It never throws and changes nothing.
 *
 * @param keys names to be masked beside the common ones
 */
export function redactor(keys: readonly string[]): (value: unknown) => unknown {
  const extra = new Set(keys.map(plainKey))
  const isSecretKey = (key: string): boolean => {
    const plain = plainKey(key)
    return extra.has(plain) || SECRET_KEY.test(plain)
  }

  const copy = (value: unknown, ancestors: readonly object[]): unknown => {
    if (typeof value === 'string') return redactText(value)
    if (typeof value === 'bigint') return String(value)
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Secret) return MASK
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
    if (ancestors.includes(value)) return '[circular]'
    if (ancestors.length >= MAX_DEPTH) return '[too deep]'
    const below = [...ancestors, value]
    if (Array.isArray(value)) return copyArray(value, below)
    if (value instanceof Error) return copyEntries(errorFields(value), below)
    if (value instanceof Map) return copyEntries(Array.from(value, entryOf), below)
    if (value instanceof Set) return copyArray([...value], below)
    if ('toJSON' in value && typeof value.toJSON === 'function') {
      return copy(value.toJSON(), below)
    }
    return copyEntries(
      Object.keys(value).map((key) => [key, () => (value as Record<string, unknown>)[key]]),
      below,
    )
  }

  const copyArray = (values: readonly unknown[], below: readonly object[]): unknown[] => {
    const copies = values.slice(0, MAX_ENTRIES).map((each) => copy(each, below))
    if (values.length > MAX_ENTRIES) copies.push(`[${values.length - MAX_ENTRIES} more]`)
    return copies
  }

  const copyEntries = (entries: readonly Entry[], below: readonly object[]): object => {
    const copies = entries
      .slice(0, MAX_ENTRIES)
      .map(([key, read]) => [key, copyAt(key, read, below)])
    if (entries.length > MAX_ENTRIES) copies.push(['…', `[${entries.length - MAX_ENTRIES} more]`])
    return Object.fromEntries(copies) as object
  }

  const copyAt = (key: string, read: () => unknown, below: readonly object[]): unknown => {
    const value = attempt(read)
    const isShown = value === undefined || value === null || typeof value === 'boolean'
    return !isShown && isSecretKey(key) ? MASK : attempt(() => copy(value, below))
  }

  return (value) => attempt(() => copy(value, []))
}

function entryOf([key, value]: readonly [unknown, unknown]): Entry {
  return [String(key), () => value]
}

/** What a getter or a `toJSON` of the caller's throws must not lose the line. */
function attempt(read: () => unknown): unknown {
  try {
    return read()
  } catch {
    return '[unreadable]'
  }
}

function plainKey(key: string): string {
  return key.toLowerCase().replaceAll(/[-_\s]/g, '')
}
