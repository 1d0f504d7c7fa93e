import type { Key, Predicate, SortKey, TableUse } from '../analysis/statement-shape.ts'
import { distinctValues } from '../catalog/catalog.ts'
import type { IndexKey } from './index-form.ts'

/** How often each key is asked for by the workload; those asked for often come first, to be shared. */
export type Demand = (key: Key) => number

/** A list of keys in an order that serves one use of a table. */
export interface KeyList {
  readonly keys: readonly IndexKey[]
  /** Whether it serves all that the statement asks of the table, so that covering it may pay. */
  readonly isWhole: boolean
}

/**
 * Lists of keys in equality–sort–range order for conditions that all must hold.
 */
export function keyListsOf(
  predicates: readonly Predicate[],
  { sort, group, hasLimit }: Pick<TableUse, 'sort' | 'group' | 'hasLimit'>,
  demand: Demand,
): readonly KeyList[] {
  const of = (...kinds: readonly Predicate['kind'][]): readonly IndexKey[] => {
    const found = predicates.filter(({ kind }) => kinds.includes(kind))
    return byDemand(
      found.map(({ key }) => key),
      demand,
    ).map(plainKey)
  }
  const equal = of('equal', 'is-null', 'is-true', 'is-false')
  const lists = of('in')
  const joins = of('join')
  const ranges = [...of('range'), ...prefixKeys(predicates)]
  const sorted = sort.map(sortedKey)
  const groups = group.map(plainKey)
  const fixed = [...equal, ...lists]
  const result: KeyList[] = []
  const add = (isWhole: boolean, ...parts: readonly (readonly IndexKey[])[]): void => {
    const keys = distinctKeys(parts.flat())
    if (keys.length > 0 && keys.length <= 5) result.push({ keys, isWhole })
  }
  add(ranges.length === 0, fixed, sorted)
  if (lists.length > 0 && sorted.length > 0) add(false, equal, sorted, lists)
  for (const range of ranges) {
    add(true, fixed, [range])
    add(false, [range])
    if (sorted.length > 0) add(true, equal, sorted, [range])
  }
  if (ranges.length > 1) add(true, fixed, ranges)
  add(true, fixed, groups, ranges)
  add(false, fixed)
  for (const join of joins) {
    add(false, [join])
    add(true, [join], fixed, ranges.slice(0, 1))
    if (sorted.length > 0) add(true, [join], fixed, sorted)
    if (fixed.length > 0) add(true, fixed, [join])
    if (ranges.length > 0) add(true, fixed, ranges.slice(0, 1), [join])
  }
  if (fixed.length > 1) for (const key of fixed) add(false, [key])
  if (fixed.length > 2) add(false, selective(predicates).slice(0, 2).map(plainKey))
  if (hasLimit && sorted.length > 0) add(false, sorted)
  return result
}

/** A key as it stands, ascending. */
export function plainKey({ sql, columns, column }: Key): IndexKey {
  return { sql, columns, isExpression: column === undefined }
}

function sortedKey({ key, isDescending, hasOtherNulls }: SortKey): IndexKey {
  return { ...plainKey(key), isDescending, hasOtherNulls }
}

/** The default classes of text compare by the language's rules, where a prefix is no range. */
function prefixKeys(predicates: readonly Predicate[]): readonly IndexKey[] {
  return predicates.filter(({ kind }) => kind === 'prefix').map(({ key }) => patternKey(key))
}

function patternKey(key: Key): IndexKey {
  if (key.column?.isCCollation === true) return plainKey(key)
  const isVarchar = key.column?.baseType === 'varchar'
  return { ...plainKey(key), operatorClass: isVarchar ? 'varchar_pattern_ops' : 'text_pattern_ops' }
}

function byDemand(keys: readonly Key[], demand: Demand): readonly Key[] {
  return keys.toSorted((a, b) => demand(b) - demand(a) || distinctOf(b) - distinctOf(a))
}

function selective(predicates: readonly Predicate[]): readonly Key[] {
  const equal = predicates.filter(({ kind }) => kind === 'equal' || kind === 'in')
  return equal.map(({ key }) => key).toSorted((a, b) => distinctOf(b) - distinctOf(a))
}

function distinctOf({ use, column }: Key): number {
  return column === undefined ? use.table.rows : distinctValues(use.table, column)
}

function distinctKeys(keys: readonly IndexKey[]): readonly IndexKey[] {
  return keys.filter((key, index) => keys.findIndex(({ sql }) => sql === key.sql) === index)
}
