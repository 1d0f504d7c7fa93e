import { hash } from 'node:crypto'

/** Keys longer than this are shortened to a digest. */
const MAX_LENGTH = 256

/**
 * Values as part of a key: equal only where the server is asked the same. Each begins with a letter
 * of its type and says its length or ends at a `,`, so that no two lists read alike.
 * @param objectKey of an object that is neither array, date nor bytes
 * @throws TypeError for a function or symbol, which has no key
 */
export function keyOf(values: readonly unknown[], objectKey: (value: object) => string): string {
  let key = ''
  for (const value of values) key += valueKey(value, objectKey)
  return key.length <= MAX_LENGTH ? key : `#${hash('sha256', key, 'base64url')}`
}

/** One value, as {@link keyOf} has it. */
export function valueKey(value: unknown, objectKey: (value: object) => string): string {
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
      // The drivers send it as null.
      return '_'
    case 'object':
      return value === null ? '_' : ownKey(value, objectKey)
    case 'function':
    case 'symbol':
      throw new TypeError(`a query must not hold a ${typeof value} to be cached`)
  }
}

/** A text of a type that a letter stands for. */
export function textKey(type: string, text: string): string {
  return `${type}${text.length}:${text}`
}

function ownKey(value: object, objectKey: (value: object) => string): string {
  if (Array.isArray(value)) {
    return `a${value.length}:${value.map((one) => valueKey(one, objectKey)).join('')}`
  }
  if (value instanceof Date) return `d${value.getTime()},`
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return textKey('b', bytes.toString('base64'))
  }
  return objectKey(value)
}
