import { hash } from 'node:crypto'

/** Keys longer than this are shortened to a digest. */
const MAX_LENGTH = 256

/**
 * The parameters of a statement as part of a key: equal exactly where types and values are equal.
 * Each value begins with a letter of its type and says its length or ends at a `,`, so that no two
 * lists read alike. Objects count as the JSON that the driver sends.
 */
export function parameterKey(values: readonly unknown[]): string {
  let key = ''
  for (const value of values) key += valueKey(value)
  return key.length <= MAX_LENGTH ? key : `#${hash('sha256', key, 'base64url')}`
}

function valueKey(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `s${value.length}:${value}`
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
      throw new TypeError(`a parameter must not be a ${typeof value}`)
  }
}

function objectKey(value: object | null): string {
  if (value === null) return '_'
  if (Array.isArray(value)) return `a${value.length}:${value.map(valueKey).join('')}`
  if (value instanceof Date) return `d${value.getTime()},`
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return `b${bytes.length}:${bytes.toString('base64')}`
  }
  if ('toPostgres' in value) throw new TypeError('a parameter with toPostgres has no key')
  const json = JSON.stringify(value) ?? ''
  return `j${json.length}:${json}`
}
