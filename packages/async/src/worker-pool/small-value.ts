/** Values that are a number and a kind: what most small tasks return. */
const UNDEFINED = 0
const NULL = 1
const FALSE = 2
const TRUE = 3
const NUMBER = 4

/** The kind of a number, a boolean, null or undefined; `undefined` for everything else. */
export function smallKindOf(value: unknown): number | undefined {
  if (typeof value === 'number') return NUMBER
  if (value === undefined) return UNDEFINED
  if (value === null) return NULL
  if (typeof value === 'boolean') return value ? TRUE : FALSE
  return undefined
}

/** The number to keep beside the kind. */
export function smallNumberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

/** The value of a kind and a number. */
export function smallValueOf(kind: number, value: number): unknown {
  switch (kind) {
    case NUMBER:
      return value
    case UNDEFINED:
      return undefined
    case NULL:
      return null
    default:
      return kind === TRUE
  }
}
