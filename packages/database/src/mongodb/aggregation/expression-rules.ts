import type { Document } from 'mongodb'
import { conjunctsOf, filterOf } from './match-filter.ts'
import { isComparable } from './match-past-group.ts'
import type { Rule } from './rule.ts'
import { bodyOf, isPlainObject, keyOf } from './stage.ts'

/**
 * `$expr: { $eq: ['$a', 5] }` holds only where `{ a: 5 }` does, which can use any index: added to
 * it, or put in its place where the field holds no arrays. `{ a: 5 }` alone holds for `[5, 6]` too.
 * Not for null, for which `{ a: null }` takes a missing field as well, nor for `$lt` and its like,
 * which compare values of different types in an expression and not in a filter.
 */
const expressionMadePlain: Rule = {
  id: 'expr-equality',
  movesFilters: true,
  apply(stages, index, { facts, startsAtCollection }) {
    const filter = index === 0 && startsAtCollection ? bodyOf(stages[0], '$match') : undefined
    if (filter === undefined) return undefined
    const given = conjunctsOf(filter)
    const present = new Set(given.map(keyOf))
    let isChanged = false
    let isReplaced = true
    const conjuncts: Document[] = []
    for (const conjunct of given) {
      const plain = plainOf(conjunct)
      const [path = ''] = Object.keys(plain ?? {})
      const isExact = plain !== undefined && facts.scalars?.includes(path) === true
      const isPresent = plain === undefined || present.has(keyOf(plain))
      if (!isPresent) conjuncts.push(plain)
      if (!isExact) conjuncts.push(conjunct)
      if (isPresent && !isExact) continue
      isChanged = true
      isReplaced &&= isExact
    }
    if (!isChanged) return undefined
    return {
      id: isReplaced ? 'expr-equality-made-plain' : 'expr-equality-prefiltered',
      count: 1,
      stages: [{ name: '$match', body: filterOf(conjuncts) }],
      reason: isReplaced
        ? 'the fields hold no arrays, so that both compare the same values'
        : 'where the expression is true the filter is too, and it can use an index',
    }
  },
}

export const expressionRules: readonly Rule[] = [expressionMadePlain]

/** `{ a: { $eq: 5 } }` for `{ $expr: { $eq: ['$a', 5] } }`, and the same for `$in`. */
function plainOf(conjunct: Document): Document | undefined {
  const expression: unknown = conjunct['$expr']
  if (!isPlainObject(expression)) return undefined
  const entries: [string, unknown][] = Object.entries(expression)
  const [entry] = entries
  if (entry === undefined || entries.length > 1 || !Array.isArray(entry[1])) return undefined
  const [operator, operands] = entry
  if (operands.length !== 2) return undefined
  const [left, right] = operands as [unknown, unknown]
  if (operator === '$eq') {
    return equality(left, right) ?? equality(right, left)
  }
  if (operator !== '$in' || !isPath(left) || !Array.isArray(right)) return undefined
  const values = right.map(constantOf)
  if (values.some((value) => value === undefined)) return undefined
  return { [left.slice(1)]: { $in: values } }
}

function equality(path: unknown, value: unknown): Document | undefined {
  const constant = constantOf(value)
  if (!isPath(path) || constant === undefined) return undefined
  return { [path.slice(1)]: { $eq: constant } }
}

/** A field and no variable. A step that is a number would mean a position to a filter only. */
function isPath(value: unknown): value is string {
  if (typeof value !== 'string' || !/^\$[^$.]/.test(value)) return false
  return !value
    .slice(1)
    .split('.')
    .some((step) => /^\d+$/.test(step))
}

/** The single value that an operand stands for, if it is one. */
function constantOf(operand: unknown): unknown {
  const value: unknown =
    isPlainObject(operand) && Object.keys(operand).length === 1 && '$literal' in operand
      ? operand['$literal']
      : operand
  if (typeof operand === 'string' && operand.startsWith('$')) return undefined
  return isComparable(value) ? value : undefined
}
