import { createHash } from 'node:crypto'

/**
 * A short name for something long or private: 160 bits of SHA-256. The keys of objects are put in order, so
 * that two spellings of the same parameters are one entry, and values of different types never
 * look the same.
 *
 * @throws TypeError for a value that has no text of its own: a function, a symbol, an instance of a class
 */
export function digest(value: unknown): string {
  return createHash('sha256').update(textOf(value)).digest('base64url').slice(0, 27)
}

function textOf(value: unknown): string {
  switch (typeof value) {
    case 'string': {
      return JSON.stringify(value)
    }
    case 'number':
    case 'boolean':
    case 'undefined': {
      return String(value)
    }
    case 'bigint': {
      return `${value}n`
    }
    case 'object': {
      return textOfObject(value)
    }
    case 'function':
    case 'symbol': {
      throw new TypeError(`a ${typeof value} cannot be a part of a cache key`)
    }
  }
}

function textOfObject(value: object | null): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`
  if (value instanceof Date) return `Date(${value.getTime()})`
  if (value instanceof Uint8Array) return `bytes(${Buffer.from(value).toString('base64')})`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a ${value.constructor.name} cannot be a part of a cache key`)
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${textOf(member)}`).join(',')}}`
}
