import { visitNodes, type SqlNode } from '../../sql/index.ts'
import { literalOf, partsOf } from '../analysis/node-access.ts'
import type { Predicate } from '../analysis/statement-shape.ts'
import type { RewriteRule } from './rule.ts'
import { rangeOf, replaceRanges } from './text-range.ts'

/** Rows from which an answer wants a limit, and columns so wide that they want to be left out. */
const MANY_ROWS = 10_000
const WIDE_BYTES = 200
const MANY_COLUMNS = 8
/** An offset that reads this many rows for nothing is paging in depth. */
const DEEP_OFFSET = 1_000
const AGGREGATE =
  /^(?:count|sum|avg|min|max|array_agg|string_agg|json_agg|jsonb_agg|bool_or|bool_and|every)$/

/** Rows skipped by OFFSET are read all the same; the key of the last row seen leads there at once. */
export const offsetPaging: RewriteRule = ({ text, node, shape }) => {
  if (!('SelectStmt' in node)) return undefined
  const { limitOffset, sortClause = [], whereClause, fromClause = [] } = node.SelectStmt
  if (limitOffset === undefined || sortClause.length === 0 || fromClause.length !== 1)
    return undefined
  const literal = literalOf(limitOffset)
  if (literal !== undefined && Number(literal.text) < DEEP_OFFSET) return undefined
  const keys = shape.uses.flatMap(({ sort }) => sort)
  const isOneWay = keys.every(({ isDescending }) => isDescending === keys[0]?.isDescending)
  if (keys.length !== sortClause.length || !isOneWay) return undefined
  const offset = rangeOf(text, limitOffset)
  const from = rangeOf(text, fromClause)
  if (offset === undefined || from === undefined) return undefined
  const word = /\boffset\s*$/i.exec(text.slice(0, offset.start))
  if (word === null) return undefined
  const next =
    1 + Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)))
  const names = keys.map(({ key }) => key.sql).join(', ')
  const last = keys.map((_, index) => `$${next + index}`).join(', ')
  const compares = `(${names}) ${keys[0]?.isDescending === true ? '<' : '>'} (${last})`
  const where = whereClause === undefined ? undefined : rangeOf(text, whereClause)
  const after = where === undefined ? fromEnd(text, from.end) : where.end
  const by = where === undefined ? ` where ${compares}` : ` and ${compares}`
  return {
    code: 'offset-paging',
    after: replaceRanges(text, [
      [{ start: after, end: after }, by],
      [{ start: word.index, end: offset.end }, ''],
    ]).trim(),
    why: 'all rows before the offset are read and thrown away; begin after the last row of the page before (its sort keys must be unique together)',
    isEquivalent: false,
  }
}

/** `select *` of a table with wide or many columns. */
export const selectStar: RewriteRule = ({ text, node, shape }) => {
  if (!('SelectStmt' in node)) return undefined
  const { targetList = [], fromClause = [] } = node.SelectStmt
  const [target] = targetList
  const [use] = shape.uses
  if (
    targetList.length !== 1 ||
    target === undefined ||
    fromClause.length !== 1 ||
    shape.uses.length !== 1
  )
    return undefined
  if (!('ResTarget' in target) || use === undefined || !isStar(target.ResTarget.val))
    return undefined
  const columns = [...use.table.columns.values()]
  const narrow = columns.filter(({ width }) => width < WIDE_BYTES)
  if (narrow.length === columns.length && columns.length < MANY_COLUMNS) return undefined
  const at = text.indexOf('*')
  const range = rangeOf(text, target)
  if (range === undefined || at < 0) return undefined
  return {
    code: 'select-star',
    after: replaceRanges(text, [
      [{ start: range.start, end: at + 1 }, narrow.map(({ quoted }) => quoted).join(', ')],
    ]),
    why: 'all columns are read and sent, wide ones too, and no index can cover the statement; name those that are needed',
    isEquivalent: false,
  }
}

/** A large table with neither a condition nor a limit. */
export const missingLimit: RewriteRule = ({ text, node, shape }) => {
  if (!('SelectStmt' in node)) return undefined
  const { limitCount, whereClause, groupClause, targetList, distinctClause, larg } = node.SelectStmt
  const [use] = shape.uses
  if (limitCount !== undefined || groupClause !== undefined || distinctClause !== undefined)
    return undefined
  if (larg !== undefined || use === undefined || shape.uses.length !== 1) return undefined
  if (use.table.rows < MANY_ROWS || hasAggregate(targetList)) return undefined
  // An OR is as narrow as its widest arm.
  const isNarrow =
    hasNarrow(use.predicates) || use.ors.some((arms) => arms.every((arm) => hasNarrow(arm)))
  if (whereClause !== undefined && isNarrow) return undefined
  return {
    code: 'missing-limit',
    after: `${text.replace(/[\s;]+$/, '')} limit 1000`,
    why: `nothing bounds the answer, which grows with ${use.table.quoted}`,
    isEquivalent: false,
  }
}

function hasNarrow(predicates: readonly Predicate[]): boolean {
  return predicates.some(({ kind }) => kind !== 'range' && kind !== 'not-null')
}

function isStar(node: SqlNode | undefined): boolean {
  return node !== undefined && 'ColumnRef' in node && partsOf(node.ColumnRef.fields).at(-1) === '*'
}

function hasAggregate(tree: unknown): boolean {
  let found = false
  visitNodes(tree, {
    FuncCall: ({ funcname }) => {
      found ||= AGGREGATE.test(partsOf(funcname).at(-1) ?? '')
    },
  })
  return found
}

/** Behind the alias of the one table. */
function fromEnd(text: string, end: number): number {
  const rest =
    /^(?:\s*\.\s*[\w"]+)?(?:\s+as)?\s+(?!order\b|limit\b|offset\b|where\b)[\w"]+|^\s*\.\s*[\w"]+/i.exec(
      text.slice(end),
    )
  return end + (rest?.[0].length ?? 0)
}
