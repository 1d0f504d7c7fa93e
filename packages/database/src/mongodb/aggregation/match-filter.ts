import type { Document } from 'mongodb'
import { expressionReads, union, type Reads } from './field-reads.ts'
import { isPlainObject, rootOf } from './stage.ts'

/** Operators of a filter that look at equality and order only. */
export const COMPARISONS: ReadonlySet<string> = new Set([
  '$eq',
  '$ne',
  '$gt',
  '$gte',
  '$lt',
  '$lte',
  '$in',
  '$nin',
])

/**
 * Operators of a filter that look at one field only, fail on no document, and mean the same at any
 * place of a pipeline.
 */
const FIELD_OPERATORS: ReadonlySet<string> = new Set([
  ...COMPARISONS,
  '$exists',
  '$type',
  '$mod',
  '$regex',
  '$options',
  '$all',
  '$size',
  '$not',
  '$elemMatch',
  '$bitsAllClear',
  '$bitsAllSet',
  '$bitsAnyClear',
  '$bitsAnySet',
])

/** Operators of expressions that fail on no value. Source: MongoDB manual, "Aggregation Operators". */
const TOTAL_OPERATORS: ReadonlySet<string> = new Set([
  '$eq',
  '$ne',
  '$gt',
  '$gte',
  '$lt',
  '$lte',
  '$cmp',
  '$and',
  '$or',
  '$not',
  '$ifNull',
  '$literal',
  '$type',
  '$isArray',
  '$isNumber',
])

/**
 * The parts of a filter that must all hold, each a filter of its own: one a key, and those of
 * `$and` and of `$expr: { $and }`.
 */
export function conjunctsOf(filter: Document): Document[] {
  return Object.entries(filter).flatMap(([key, value]: [string, unknown]): Document[] => {
    if (key === '$and' && Array.isArray(value) && value.every(isPlainObject)) {
      return value.flatMap(conjunctsOf)
    }
    if (key === '$expr' && isPlainObject(value) && isOnly(value, '$and')) {
      const parts: unknown = value['$and']
      if (Array.isArray(parts) && parts.length > 0) {
        return parts.map((part: unknown) => ({ $expr: part }))
      }
    }
    return [{ [key]: value }]
  })
}

/** The filter that wants all of these; keys that come twice go under `$and`. */
export function filterOf(conjuncts: readonly Document[]): Document {
  const keys = conjuncts.flatMap((conjunct) => Object.keys(conjunct))
  if (new Set(keys).size === keys.length) return Object.assign({}, ...conjuncts) as Document
  return { $and: [...conjuncts] }
}

/** The fields it looks at, where it may be moved: it fails on no document and depends on nothing else. */
export function movableReads(filter: Document): ReadonlySet<string> | undefined {
  const reads = filterReads(filter)
  return reads === 'all' ? undefined : reads
}

function filterReads(filter: unknown): Reads {
  if (!isPlainObject(filter)) return 'all'
  return union(
    Object.entries(filter).map(([key, value]: [string, unknown]): Reads => {
      if (key === '$and' || key === '$or' || key === '$nor') {
        return Array.isArray(value) ? union(value.map(filterReads)) : 'all'
      }
      if (key === '$expr') return isTotal(value) ? expressionReads(value) : 'all'
      if (key === '$comment') return new Set()
      if (key.startsWith('$')) return 'all'
      return isFieldTest(value) ? new Set([rootOf(key)]) : 'all'
    }),
  )
}

/** Whether it is a value, or known operators all the way down. */
function isFieldTest(test: unknown): boolean {
  if (!isPlainObject(test)) return true
  const entries = Object.entries(test)
  if (!entries.some(([key]) => key.startsWith('$'))) return true
  return entries.every(([key, value]: [string, unknown]) => {
    if (!FIELD_OPERATORS.has(key)) return false
    if (key === '$not') return isFieldTest(value)
    if (key !== '$elemMatch') return true
    return isFieldTest(value) && (isOperators(value) || filterReads(value) !== 'all')
  })
}

function isOperators(value: unknown): boolean {
  return isPlainObject(value) && Object.keys(value).every((key) => FIELD_OPERATORS.has(key))
}

/** Whether an expression has a value for every document. */
export function isTotal(expression: unknown): boolean {
  if (Array.isArray(expression)) return expression.every(isTotal)
  if (!isPlainObject(expression)) return true
  return Object.entries(expression).every(([key, value]: [string, unknown]) => {
    if (key === '$literal') return true
    // Fails where its list is none.
    const isTotalIn = key === '$in' && Array.isArray(value) && Array.isArray(value[1])
    return (isTotalIn || TOTAL_OPERATORS.has(key)) && isTotal(value)
  })
}

function isOnly(object: Document, key: string): boolean {
  const keys = Object.keys(object)
  return keys.length === 1 && keys[0] === key
}
