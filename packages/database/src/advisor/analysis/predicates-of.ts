import type { SqlNode } from '../../sql/index.ts'
import { keyOf } from './key-of.ts'
import { itemsOf, lastName, literalOf } from './node-access.ts'
import type { Scope } from './scope.ts'
import type { Key, Predicate, PredicateKind, Value } from './statement-shape.ts'

const FLIPPED: Readonly<Record<string, string>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=' }
const OPERATORS: Readonly<Record<string, PredicateKind>> = {
  '=': 'equal',
  '<': 'range',
  '>': 'range',
  '<=': 'range',
  '>=': 'range',
  '@>': 'contains',
  '?': 'has-key',
  '?|': 'has-key',
  '?&': 'has-key',
  '&&': 'overlaps',
  '@@': 'contains',
  '^@': 'prefix',
}

/** The conditions on keys in one conjunct; none where no index can serve it. */
export function predicatesOf(node: SqlNode, scope: Scope): readonly Predicate[] {
  if ('A_Expr' in node) return comparison(node.A_Expr, scope)
  if ('NullTest' in node) {
    const isNull = node.NullTest.nulltesttype === 'IS_NULL'
    return one(isNull ? 'is-null' : 'not-null', keyOf(node.NullTest.arg, scope), [])
  }
  if ('BooleanTest' in node) {
    const { booltesttype: test, arg } = node.BooleanTest
    if (test === 'IS_TRUE') return truth('is-true', arg, scope)
    return test === 'IS_FALSE' ? truth('is-false', arg, scope) : []
  }
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'NOT_EXPR') {
    return truth('is-false', node.BoolExpr.args?.[0], scope)
  }
  if ('SubLink' in node && node.SubLink.subLinkType === 'ANY_SUBLINK') {
    return one('join', keyOf(node.SubLink.testexpr, scope), [])
  }
  return truth('is-true', node, scope)
}

type Comparison = Extract<SqlNode, { A_Expr: unknown }>['A_Expr']

function comparison(expression: Comparison, scope: Scope): readonly Predicate[] {
  const { kind, lexpr, rexpr, name } = expression
  const operator = lastName(name)
  const left = keyOf(lexpr, scope)
  switch (kind) {
    case 'AEXPR_IN':
      return operator === '=' ? one('in', left, itemsOf(rexpr).map(valueOf)) : []
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
      return one('range', left, itemsOf(rexpr).map(valueOf))
    case 'AEXPR_LIKE':
      return operator === '~~' ? one(patternKind(rexpr), left, [valueOf(rexpr)]) : []
    case 'AEXPR_ILIKE':
      return operator === '~~*' ? one('insensitive', left, [valueOf(rexpr)]) : []
    case 'AEXPR_OP_ANY': {
      if (operator !== '=') return []
      const right = keyOf(rexpr, scope)
      if (right?.column?.category === 'A') return one('has-element', right, [valueOf(lexpr)])
      return one('in', left, [valueOf(rexpr)])
    }
    case 'AEXPR_OP':
      return operation(operator, expression, left, scope)
    case undefined:
    case 'AEXPR_OP_ALL':
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT':
    case 'AEXPR_NULLIF':
    case 'AEXPR_SIMILAR':
    case 'AEXPR_NOT_BETWEEN':
    case 'AEXPR_NOT_BETWEEN_SYM':
  }
  return []
}

function operation(
  operator: string,
  { lexpr, rexpr }: Comparison,
  left: Key | undefined,
  scope: Scope,
): readonly Predicate[] {
  const rows = rowComparison(operator, lexpr, rexpr, scope)
  if (rows !== undefined) return rows
  const kind = OPERATORS[operator] ?? (FLIPPED[operator] === undefined ? undefined : 'range')
  const right = keyOf(rexpr, scope)
  if (kind === undefined) return []
  if (left !== undefined && right !== undefined) {
    if (kind !== 'equal' || left.use === right.use) return []
    return [...one('join', left, []), ...one('join', right, [])]
  }
  if (left !== undefined) return one(kind, left, [valueOf(rexpr)])
  const isSymmetric = kind === 'equal' || kind === 'range' || kind === 'overlaps'
  return isSymmetric ? one(kind, right, [valueOf(lexpr)]) : []
}

/** `(a, b) > ($1, $2)`, of which an index on `a, b` reads a range. */
function rowComparison(
  operator: string,
  left: SqlNode | undefined,
  right: SqlNode | undefined,
  scope: Scope,
): readonly Predicate[] | undefined {
  if (left === undefined || !('RowExpr' in left)) return undefined
  const values = right !== undefined && 'RowExpr' in right ? (right.RowExpr.args ?? []) : []
  const kind = operator === '=' ? 'equal' : 'range'
  const [first, ...rest] = (left.RowExpr.args ?? []).map((arg, index) => {
    return one(kind, keyOf(arg, scope), [valueOf(values[index])])
  })
  return kind === 'equal' ? [...(first ?? []), ...rest.flat()] : (first ?? [])
}

function truth(
  kind: 'is-true' | 'is-false',
  node: SqlNode | undefined,
  scope: Scope,
): readonly Predicate[] {
  const key = node !== undefined && 'ColumnRef' in node ? keyOf(node, scope) : undefined
  return key?.column?.category === 'B' ? one(kind, key, []) : []
}

function one(
  kind: PredicateKind,
  key: Key | undefined,
  values: readonly Value[],
): readonly Predicate[] {
  return key === undefined ? [] : [{ kind, key, values }]
}

/** A pattern that comes as a parameter may begin with anything; a prefix is what an index is made for. */
function patternKind(node: SqlNode | undefined): PredicateKind {
  const pattern = literalOf(node)?.text
  return pattern === undefined ? 'prefix' : kindOfPattern(pattern)
}

/** What a pattern of LIKE asks for. */
export function kindOfPattern(pattern: string): 'equal' | 'prefix' | 'suffix' | 'infix' {
  if (!/[%_]/.test(pattern)) return 'equal'
  if (!/^[%_]/.test(pattern)) return 'prefix'
  return /^%[^%_]+$/.test(pattern) ? 'suffix' : 'infix'
}

function valueOf(node: SqlNode | undefined): Value {
  const literal = literalOf(node)
  if (literal !== undefined) return { kind: 'literal', ...literal }
  const inner = node !== undefined && 'TypeCast' in node ? node.TypeCast.arg : node
  if (inner !== undefined && 'ParamRef' in inner) {
    return { kind: 'parameter', number: inner.ParamRef.number ?? 0 }
  }
  return { kind: 'unknown' }
}
