import { rowsText, type PlanRule } from './finding.ts'
import { nodesOf } from './plan-tree.ts'

/** Rows on the outer side from which another join is worth a thought. */
const LARGE_OUTER_ROWS = 10_000
const WASTED_ROWS = 10_000
/** Pairs compared in vain for each that matched. */
const WASTE_RATIO = 10

/** The inner side run once for each of many rows. */
export const nestedLoop: PlanRule = (node) => {
  const [outer, inner] = node.children
  if (node.type !== 'Nested Loop' || outer === undefined || inner === undefined) return undefined
  const rows = outer.actual ? outer.actual.rows * outer.actual.loops : outer.estimated.rows
  if (rows < LARGE_OUTER_ROWS) return undefined
  // A memory of earlier answers, or a stored result, makes each run cheap.
  if (inner.type === 'Memoize') return undefined
  const hasIndex = [...nodesOf(inner)].some(({ index }) => index !== undefined)
  return {
    code: 'nested-loop',
    severity: hasIndex ? 'medium' : 'high',
    nodeId: node.id,
    message: `the inner side (${inner.type}) runs for each of ${rowsText(rows)} of the outer side${hasIndex ? '' : ', without an index'}`,
    remedy: hasIndex
      ? 'fewer rows on the outer side by an earlier filter; where their number is misestimated, better statistics let the planner choose a hash join'
      : 'an equality between the two sides, which allows a hash join, or an index on the join column of the inner side',
  }
}

/** Pairs that the join made and its filter threw away. */
export const rowsRemovedByJoinFilter: PlanRule = (node) => {
  const { actual } = node
  if (actual === undefined) return undefined
  const removed = actual.rowsRemovedByJoinFilter * actual.loops
  const kept = actual.rows * actual.loops
  if (removed < WASTED_ROWS || removed < kept * WASTE_RATIO) return undefined
  return {
    code: 'rows-removed-by-join-filter',
    severity: 'high',
    nodeId: node.id,
    message: `${node.type} compares ${rowsText(removed + kept)} to keep ${rowsText(kept)}`,
    remedy: `an equality as the join's condition, or an index that serves ${node.conditions['Join Filter'] ?? 'it'}`,
  }
}
