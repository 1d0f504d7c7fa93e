/**
 * A deep copy of plain objects and arrays, frozen at every level, so that neither the caller can
 * change the copy nor the freezing the caller's value. What is in it twice, or in itself, is so in
 * the copy. Instances of classes are kept as they are.
 */
export function frozenCopy<T>(value: T): T {
  return copyOf(value, new Map()) as T
}

function copyOf(value: unknown, copies: Map<object, object>): unknown {
  const isArray = Array.isArray(value)
  if (!isArray && !isPlainObject(value)) return value
  const known = copies.get(value)
  if (known !== undefined) return known
  const copy: object = isArray ? [] : {}
  copies.set(value, copy)
  for (const [key, each] of Object.entries(value)) {
    // Defined, not assigned: a key may be `__proto__`.
    Object.defineProperty(copy, key, { value: copyOf(each, copies), enumerable: true })
  }
  if (isArray) (copy as unknown[]).length = value.length
  return Object.freeze(copy)
}

/** Whether a value is an object literal, or one that JSON could hold. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
