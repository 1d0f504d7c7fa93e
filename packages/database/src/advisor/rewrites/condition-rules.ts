import { visitNodes, type SqlNode } from '../../sql/index.ts'
import { lastName, literalOf, partsOf, typeNameOf } from '../analysis/node-access.ts'
import { kindOfPattern } from '../analysis/predicates-of.ts'
import type { StatementShape } from '../analysis/statement-shape.ts'
import type { ColumnFacts } from '../catalog/catalog.ts'
import type { Rewritable, RewriteRule } from './rule.ts'
import { rangeOf, replaceRanges } from './text-range.ts'

type Comparison = Extract<SqlNode, { A_Expr: unknown }>['A_Expr']
const UNITS = /^(?:hour|day|week|month|quarter|year)$/

/** `date_trunc('day', at) = $1`, which no index on `at` serves, as a range of `at`. */
export const functionOnColumn: RewriteRule = (statement) => {
  return onComparison(statement, (expression) => {
    const { lexpr, rexpr, name } = expression
    if (lastName(name) !== '=' || lexpr === undefined) return undefined
    const truncated = truncatedColumn(lexpr)
    if (truncated === undefined) return undefined
    const column = sourceOf(statement.text, truncated.argument)
    const value = sourceOf(statement.text, rexpr)
    const length = truncated.unit === 'quarter' ? '3 months' : `1 ${truncated.unit}`
    const type = truncated.isDate ? `${value}::date` : value
    return {
      code: 'function-on-column',
      by: `${column} >= ${type} and ${column} < ${type} + interval '${length}'`,
      why: 'a function of the column hides it from an index on it; the same rows are a range of the column',
      isEquivalent: true,
    }
  })
}

/** `id::text = $1`: the cast belongs to the value. */
export const castOnColumn: RewriteRule = (statement) => {
  return onComparison(statement, ({ lexpr, rexpr, name }) => {
    if (lexpr === undefined || rexpr === undefined || !/^(?:=|<|>|<=|>=)$/.test(lastName(name)))
      return undefined
    const value = sourceOf(statement.text, rexpr)
    if ('TypeCast' in lexpr && lexpr.TypeCast.arg !== undefined) {
      const column = columnOf(statement, lexpr.TypeCast.arg)
      const isText = /^(?:pg_catalog\.)?(?:text|varchar)$/.test(typeNameOf(lexpr) ?? '')
      if (column === undefined || !isText || /[SD]/.test(column.category)) return undefined
      if (lastName(name) !== '=') return undefined
      return {
        code: 'cast-on-column',
        by: `${sourceOf(statement.text, lexpr.TypeCast.arg)} = (${value})::${column.type}`,
        why: 'a cast of the column hides it from an index on it; cast the value',
        isEquivalent: false,
      }
    }
    const column = columnOf(statement, lexpr)
    const isFraction = 'A_Const' in rexpr && rexpr.A_Const.fval !== undefined
    if (column === undefined || !/^int[248]$/.test(column.baseType) || !isFraction) return undefined
    const isWhole = Number.isInteger(Number(literalOf(rexpr)?.text))
    if (!isWhole) return undefined
    return {
      code: 'cast-on-column',
      by: `${sourceOf(statement.text, lexpr)} ${lastName(name)} (${value})::${column.type}`,
      why: 'a numeric value makes PostgreSQL cast the integer column in every row, which hides it from its index',
      isEquivalent: true,
    }
  })
}

/** `like '%end'`, as a prefix of what is read from behind. */
export const leadingWildcard: RewriteRule = (statement) => {
  if (statement.server.hasTrigram) return undefined
  return onComparison(statement, ({ kind, lexpr, rexpr }) => {
    const pattern = literalOf(rexpr)?.text
    if (kind !== 'AEXPR_LIKE' || pattern === undefined || kindOfPattern(pattern) !== 'suffix')
      return undefined
    const column = sourceOf(statement.text, lexpr)
    return {
      code: 'leading-wildcard',
      by: `reverse(${column}) like reverse(${sourceOf(statement.text, rexpr)})`,
      why: 'a pattern that begins with a wildcard has no index of its own; reversed it is a prefix, for an index on reverse(…) text_pattern_ops',
      isEquivalent: true,
    }
  })
}

/** `$1 = any(tags)`, which no index serves, as `tags @> array[$1]`, which GIN does. */
export const anyOfArray: RewriteRule = (statement) => {
  return onComparison(statement, ({ kind, lexpr, rexpr, name }) => {
    if (kind !== 'AEXPR_OP_ANY' || lastName(name) !== '=' || rexpr === undefined) return undefined
    const column = columnOf(statement, rexpr)
    if (column?.category !== 'A') return undefined
    const value = sourceOf(statement.text, lexpr)
    return {
      code: 'any-of-array',
      by: `${sourceOf(statement.text, rexpr)} @> array[${value}]::${column.type}`,
      why: 'no index serves = any(column); containment of an array is served by GIN',
      isEquivalent: true,
    }
  })
}

/** `not in (select x …)`: a NULL among the x leaves no row at all, and the planner cannot join. */
export const notInSubquery: RewriteRule = ({ text, node, shape }) => {
  let found: ReturnType<RewriteRule>
  visitNodes(node, {
    BoolExpr: (content) => {
      const [arg] = content.args ?? []
      if (content.boolop !== 'NOT_EXPR' || arg === undefined || !('SubLink' in arg)) return
      const { subLinkType, testexpr, subselect } = arg.SubLink
      if (subLinkType !== 'ANY_SUBLINK' || subselect === undefined || !('SelectStmt' in subselect))
        return
      const {
        targetList = [],
        whereClause,
        groupClause,
        limitCount,
        fromClause = [],
      } = subselect.SelectStmt
      const [target] = targetList
      const [from] = fromClause
      if (target === undefined || !('ResTarget' in target)) return
      const inner = target.ResTarget.val
      if (
        inner === undefined ||
        !('ColumnRef' in inner) ||
        from === undefined ||
        !('RangeVar' in from)
      )
        return
      if (groupClause !== undefined || limitCount !== undefined || fromClause.length > 1) return
      const alias = from.RangeVar.alias?.aliasname ?? from.RangeVar.relname ?? ''
      const name = lastName(inner.ColumnRef.fields)
      const use = shape.uses.find((one) => one.alias === alias && one.table.columns.has(name))
      if (use === undefined || use.table.columns.get(name)?.isNotNull === true) return
      const range = rangeOf(text, { content })
      if (range === undefined) return
      const condition = whereClause === undefined ? '' : ` and (${sourceOf(text, whereClause)})`
      const tested = outerSource(text, testexpr, shape, alias)
      if (tested === undefined) return
      const { schemaname, relname, alias: given } = from.RangeVar
      const table = given === undefined ? relname : `${relname} ${alias}`
      const source = schemaname === undefined ? table : `${schemaname}.${table}`
      const body = `not exists (select from ${source} where ${alias}.${name} = ${tested}${condition})`
      found = {
        code: 'not-in-subquery',
        after: replaceRanges(text, [[range, body]]),
        why: `one NULL in ${name} and NOT IN gives no row; and it cannot be planned as a join`,
        isEquivalent: false,
      }
    },
  })
  return found
}

/** A column of the query outside, with its table's name: inside of the subquery the bare name may be another. */
function outerSource(
  text: string,
  node: SqlNode | undefined,
  shape: StatementShape,
  inner: string,
): string | undefined {
  if (node === undefined || !('ColumnRef' in node)) return undefined
  const parts = partsOf(node.ColumnRef.fields)
  if (parts.length > 1) return parts[0] === inner ? undefined : sourceOf(text, node)
  const outer = shape.uses.find(({ alias, table }) => {
    return alias !== inner && table.columns.has(parts[0] ?? '')
  })
  return outer === undefined ? undefined : `${outer.alias}.${sourceOf(text, node)}`
}

interface Change {
  readonly code: NonNullable<ReturnType<RewriteRule>>['code']
  readonly by: string
  readonly why: string
  readonly isEquivalent: boolean
}

function onComparison(
  { text, node }: Rewritable,
  change: (expression: Comparison) => Change | undefined,
): ReturnType<RewriteRule> {
  let found: ReturnType<RewriteRule>
  visitNodes(node, {
    A_Expr: (content) => {
      const changed = found === undefined ? change(content) : undefined
      const range = changed === undefined ? undefined : rangeOf(text, content)
      if (changed === undefined || range === undefined) return
      const { by, ...rest } = changed
      found = { ...rest, after: replaceRanges(text, [[range, by]]) }
    },
  })
  return found
}

function truncatedColumn(
  node: SqlNode,
): { readonly argument: SqlNode; readonly unit: string; readonly isDate: boolean } | undefined {
  if ('TypeCast' in node) {
    const { arg } = node.TypeCast
    const isDate = /^(?:pg_catalog\.)?date$/.test(typeNameOf(node) ?? '')
    return isDate && arg !== undefined && 'ColumnRef' in arg
      ? { argument: arg, unit: 'day', isDate }
      : undefined
  }
  if (!('FuncCall' in node)) return undefined
  const { funcname, args = [] } = node.FuncCall
  const [first, second] = args
  const name = lastName(funcname)
  if (name === 'date' && first !== undefined && 'ColumnRef' in first) {
    return { argument: first, unit: 'day', isDate: true }
  }
  const unit = literalOf(first)?.text ?? ''
  if (name !== 'date_trunc' || second === undefined || !UNITS.test(unit)) return undefined
  return 'ColumnRef' in second && args.length === 2
    ? { argument: second, unit, isDate: false }
    : undefined
}

function columnOf({ shape }: Rewritable, node: SqlNode): ColumnFacts | undefined {
  if (!('ColumnRef' in node)) return undefined
  const parts = partsOf(node.ColumnRef.fields)
  const name = parts.at(-1) ?? ''
  const use = shape.uses.find((one) => {
    return one.table.columns.has(name) && (parts.length === 1 || one.alias === parts.at(-2))
  })
  return use?.table.columns.get(name)
}

function sourceOf(text: string, node: SqlNode | undefined): string {
  const range = rangeOf(text, node)
  return range === undefined ? '' : text.slice(range.start, range.end)
}
