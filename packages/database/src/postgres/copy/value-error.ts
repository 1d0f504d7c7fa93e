/**
 * Thrown by an encoder for a value that its column cannot hold. It names what was expected and what
 * kind of value came, never the value; `copyInto` adds the row and the column.
 */
export class ValueError extends TypeError {
  override readonly name = 'ValueError'
}

/** Refuses a value with the words `expected …, got …`. */
export function refuse(expected: string, value: unknown): never {
  throw new ValueError(`expected ${expected}, got ${describe(value)}`)
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'number' && !Number.isFinite(value)) return 'a number that is not finite'
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a fraction'
  if (typeof value === 'string') return `a string of ${value.length} characters`
  if (typeof value !== 'object') return `a ${typeof value}`
  return `an object of class ${value.constructor?.name ?? 'null'}`
}
