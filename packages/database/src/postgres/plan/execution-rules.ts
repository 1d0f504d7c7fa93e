import { rowsText, subjectOf, type PlanRule } from './finding.ts'
import type { PlanNode } from './plan-tree.ts'

/** How far estimate and truth may be apart. Source: design; the planner itself survives small factors. */
const MISESTIMATED_RATIO = 10
/** Below this many rows a wrong estimate changes no plan. */
const FEW_ROWS = 100
const JIT_SHARE = 0.25
const JIT_MS = 10
const STALE_SHARE = 0.2
const STALE_ROWS = 1_000

/** Steps that stop their input before its end, so that fewer rows than expected say nothing. */
const STOPS_EARLY = /^(?:Limit|Merge Join|Nested Loop|Hash Join)$/

/** An estimate that is far off, at the step where it first is. */
export const rowsMisestimated: PlanRule = (node, { ancestors }) => {
  if (!isMisestimated(node, ancestors)) return undefined
  const below = [...ancestors, node]
  if (node.children.some((child) => isMisestimated(child, below))) return undefined
  const { estimated, actual } = node
  const ratio = ratioOf(node)
  return {
    code: 'rows-misestimated',
    severity: ratio >= MISESTIMATED_RATIO ** 2 ? 'high' : 'medium',
    nodeId: node.id,
    message: `${node.type} on ${subjectOf(node)} gave ${rowsText(actual?.rows ?? 0)} where ${rowsText(estimated.rows)} were expected, ${Math.round(ratio)} × apart`,
    remedy:
      node.relation === undefined
        ? 'ANALYZE of the tables below; extended statistics (CREATE STATISTICS) on columns that depend on each other'
        : `ANALYZE ${node.relation.name}; a higher statistics target for the columns of the condition, or CREATE STATISTICS where they depend on each other`,
  }
}

function isMisestimated(node: PlanNode, ancestors: readonly PlanNode[]): boolean {
  const { actual, estimated } = node
  if (actual === undefined || actual.loops === 0) return false
  if (Math.max(actual.rows, estimated.rows) < FEW_ROWS) return false
  if (ratioOf(node) < MISESTIMATED_RATIO) return false
  const mayStopEarly = ancestors.some(({ type }) => STOPS_EARLY.test(type))
  return actual.rows > estimated.rows || !mayStopEarly
}

function ratioOf({ actual, estimated }: PlanNode): number {
  const [rows, expected] = [Math.max(1, actual?.rows ?? 0), Math.max(1, estimated.rows)]
  return Math.max(rows / expected, expected / rows)
}

/** A sort, hash table or hash aggregate that went to disk. */
export const spilled: PlanRule = ({ id, type, spill }) => {
  if (spill === undefined) return undefined
  const size = spill.diskKb === undefined ? '' : `, ${spill.diskKb} kB of it`
  const parts = spill.batches > 1 ? ` in ${spill.batches} parts` : ''
  return {
    code: spill.kind === 'sort' ? 'sort-spilled' : 'hash-spilled',
    severity: 'medium',
    nodeId: id,
    message: `${type} did not fit into work_mem and went to disk${parts}${size}`,
    remedy:
      spill.kind === 'sort'
        ? 'an index in this order, a LIMIT, fewer columns, or more work_mem for this statement'
        : 'fewer rows or columns on this side, or more work_mem (hash_mem_multiplier) for this statement',
  }
}

/** A part of the plan that was not needed this time. */
export const neverExecuted: PlanRule = (node, { ancestors }) => {
  if (node.actual?.loops !== 0 || ancestors.at(-1)?.actual?.loops === 0) return undefined
  return {
    code: 'never-executed',
    severity: 'low',
    nodeId: node.id,
    message: `${node.type} on ${subjectOf(node)} never ran, so that nothing is known of its real cost`,
    remedy: 'look at the plan again with parameters for which it runs',
  }
}

/** Compilation that took longer than it can have saved. */
export const jitCost: PlanRule = (node, { plan, ancestors }) => {
  const { jit, executionMs } = plan
  if (ancestors.length > 0 || jit?.totalMs === undefined || executionMs === undefined)
    return undefined
  if (jit.totalMs < JIT_MS || jit.totalMs < executionMs * JIT_SHARE) return undefined
  const share = Math.round((jit.totalMs / executionMs) * 100)
  return {
    code: 'jit-cost',
    severity: share >= 50 ? 'high' : 'medium',
    nodeId: node.id,
    message: `just-in-time compilation of ${jit.functions} functions took ${jit.totalMs.toFixed(0)} ms, ${share} % of the execution`,
    remedy: 'a higher jit_above_cost, or jit = off for short statements',
  }
}

/** A table that the planner knows nothing of, or nothing new. */
export const statistics: PlanRule = (node, { factsOf }) => {
  const facts = factsOf(node.relation)
  if (facts === undefined || facts.pages === 0) return undefined
  const found = { nodeId: node.id, remedy: `ANALYZE ${subjectOf(node)}` }
  if (!facts.hasStatistics) {
    const message = `the planner has no statistics of ${subjectOf(node)} and guesses`
    return { ...found, code: 'missing-statistics', severity: 'high', message }
  }
  const changed = facts.rowsChangedSinceAnalyze
  if (changed < STALE_ROWS || changed < facts.rows * STALE_SHARE) return undefined
  const message = `${rowsText(changed)} of ${subjectOf(node)} changed since its statistics were taken of ${rowsText(facts.rows)}`
  return { ...found, code: 'stale-statistics', severity: 'medium', message }
}
