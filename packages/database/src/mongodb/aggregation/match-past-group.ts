import { BSON, type Document } from 'mongodb'
import { COMPARISONS } from './match-filter.ts'
import { bodyOf, isPlainObject, type Stage } from './stage.ts'

/**
 * A filter on the key of `$group` as one on the field that the key comes from. Documents of a group
 * have equal keys, so a comparison holds for all of them or none. Not for null, since a missing
 * field becomes a null key; not for what looks at more than equality and order, such as `$type`,
 * since a group takes `1` and `1.0` together.
 */
export function pastGroup(group: Stage, conjunct: Document): Document | undefined {
  const key: unknown = bodyOf(group, '$group')?.['_id']
  if (typeof key !== 'string' || !/^\$[^$.]+$/.test(key)) return undefined
  const entries: [string, unknown][] = Object.entries(conjunct)
  const [entry] = entries
  if (entry?.[0] !== '_id' || !isComparison(entry[1])) return undefined
  return { [key.slice(1)]: entry[1] }
}

function isComparison(test: unknown): boolean {
  if (!isPlainObject(test)) return isComparable(test)
  const entries: [string, unknown][] = Object.entries(test)
  if (entries.length === 0) return false
  return entries.every(([operator, value]) => {
    if (!COMPARISONS.has(operator)) return false
    return Array.isArray(value) ? value.every(isComparable) : isComparable(value)
  })
}

/** A single value that is neither null nor a pattern. */
export function isComparable(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value instanceof Date) return true
  if (typeof value === 'number') return !Number.isNaN(value)
  if (typeof value === 'bigint' || value instanceof BSON.ObjectId) return true
  return value instanceof BSON.Long || value instanceof BSON.Int32 || value instanceof BSON.Double
}
