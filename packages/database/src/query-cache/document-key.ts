import { inspect } from 'node:util'
import { keyOf, textKey, valueKey } from './value-key.ts'

const WHOLE = { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity }

/**
 * Filters, pipelines and options as part of a key: equal only where the server is asked the same.
 * The order of keys counts, since it does for the server.
 * @throws TypeError for what has no key
 */
export function documentKey(values: readonly unknown[]): string {
  return keyOf(values, objectKey)
}

function objectKey(value: object): string {
  if (value instanceof RegExp) return textKey('r', String(value))
  if ('_bsontype' in value) return textKey('x', inspect(value, WHOLE))
  if ('toBSON' in value && typeof value.toBSON === 'function') {
    return valueKey(value.toBSON(), objectKey)
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const parts = entries.map(
    ([key, child]) => textKey('k', String(key)) + valueKey(child, objectKey),
  )
  return `o${parts.length}:${parts.join('')}`
}
