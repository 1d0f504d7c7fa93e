/**
 * A deep copy of plain objects and arrays, frozen at every level, so that neither the caller can
 * change the copy nor the freezing the caller's value. Instances of classes are kept as they are.
 */
export function frozenCopy<T>(value: T): T {
  if (Array.isArray(value)) return Object.freeze(value.map(frozenCopy)) as T
  if (!isPlainObject(value)) return value
  const copies = Object.entries(value).map(([key, each]) => [key, frozenCopy(each)])
  return Object.freeze(Object.fromEntries(copies)) as T
}

/** Whether a value is an object literal, or one that JSON could hold. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
