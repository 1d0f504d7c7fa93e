import { hash } from 'node:crypto'
import { inspect } from 'node:util'

/** Keys longer than this are shortened to a digest. */
const MAX_LENGTH = 256
const WHOLE = { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity }

/**
 * Filters, pipelines and options as part of a key: equal only where the server is asked the same.
 * Each value begins with a letter of its type and says its length or ends at a `,`, so that no two
 * lists read alike; the order of keys counts, since it does for the server.
 * @throws TypeError for a function or symbol, which has no key
 */
export function documentKey(values: readonly unknown[]): string {
  const key = values.map(valueKey).join('')
  return key.length <= MAX_LENGTH ? key : `#${hash('sha256', key, 'base64url')}`
}

function valueKey(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return textKey('s', value)
    case 'number':
      return `n${value},`
    case 'boolean':
      return value ? 't' : 'f'
    case 'bigint':
      return `i${value},`
    case 'undefined':
      // The driver sends it as null.
      return '_'
    case 'object':
      return objectKey(value)
    case 'function':
    case 'symbol':
      throw new TypeError(`a query must not hold a ${typeof value} to be cached`)
  }
}

function objectKey(value: object | null): string {
  if (value === null) return '_'
  if (Array.isArray(value)) return `a${value.length}:${value.map(valueKey).join('')}`
  if (value instanceof Date) return `d${value.getTime()},`
  if (value instanceof RegExp) return textKey('r', String(value))
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return textKey('b', bytes.toString('base64'))
  }
  if ('_bsontype' in value) return textKey('x', inspect(value, WHOLE))
  if ('toBSON' in value && typeof value.toBSON === 'function') return valueKey(value.toBSON())
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const parts = entries.map(([key, child]) => textKey('k', String(key)) + valueKey(child))
  return `o${parts.length}:${parts.join('')}`
}

function textKey(type: string, text: string): string {
  return `${type}${text.length}:${text}`
}
