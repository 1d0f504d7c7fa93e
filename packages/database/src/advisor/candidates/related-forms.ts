import { columnsOf, signatureOf, type IndexForm } from './index-form.ts'
import { isCoverable } from './included.ts'

/** Whether two forms are the same index. */
export function isSame(a: IndexForm, b: IndexForm): boolean {
  return signatureOf(a) === signatureOf(b)
}

/** Whether one could do the work of the other: it is on the same columns, or on some of them. */
export function isRelated(a: IndexForm, b: IndexForm): boolean {
  if (a.table.oid !== b.table.oid || a.method !== b.method) return false
  const [own, other] = [columnsOf(a), columnsOf(b)]
  return own.isSubsetOf(other) || other.isSubsetOf(own)
}

/**
 * The B-tree that does the work of two which begin with the same key: it has the keys of the first, and
 * includes what the other has beyond them. `undefined` where there is none.
 */
export function mergedForm(form: IndexForm, other: IndexForm): IndexForm | undefined {
  const isPair =
    form.table.oid === other.table.oid &&
    form.method === 'btree' &&
    other.method === 'btree' &&
    form.predicate === other.predicate &&
    form.keys[0]?.sql === other.keys[0]?.sql &&
    ![...form.keys, ...other.keys].some(({ isExpression }) => isExpression)
  if (!isPair) return undefined
  const inKeys = new Set(form.keys.flatMap(({ columns }) => columns))
  const beyond = new Set([
    ...form.include,
    ...other.keys.flatMap(({ columns }) => columns),
    ...other.include,
  ])
  const include = [...beyond.difference(inKeys)]
  return isCoverable(include) ? { ...form, include } : undefined
}
