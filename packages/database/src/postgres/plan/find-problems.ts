import { jitCost, neverExecuted, rowsMisestimated, spilled, statistics } from './execution-rules.ts'
import type { PlanFinding, PlanRule } from './finding.ts'
import { nestedLoop, rowsRemovedByJoinFilter } from './join-rules.ts'
import type { Plan, PlanNode } from './plan-tree.ts'
import type { FactsOf } from './relation-facts.ts'
import {
  indexRecheck,
  lossyBitmap,
  rowsRemovedByFilter,
  sequentialScan,
  visibilityMap,
} from './scan-rules.ts'

const RULES: readonly PlanRule[] = [
  sequentialScan,
  rowsRemovedByFilter,
  rowsRemovedByJoinFilter,
  nestedLoop,
  rowsMisestimated,
  spilled,
  indexRecheck,
  lossyBitmap,
  visibilityMap,
  statistics,
  jitCost,
  neverExecuted,
]

const ORDER = { high: 0, medium: 1, low: 2 } as const

/** What is wrong with a plan, the worst first. */
export function findProblems(plan: Plan, factsOf: FactsOf): readonly PlanFinding[] {
  const findings: PlanFinding[] = []
  const visit = (node: PlanNode, ancestors: readonly PlanNode[]): void => {
    for (const rule of RULES) {
      const finding = rule(node, { plan, factsOf, ancestors })
      if (finding !== undefined) findings.push(finding)
    }
    for (const child of node.children) visit(child, [...ancestors, node])
  }
  visit(plan.root, [])
  // One word about each table's statistics is enough.
  const seen = new Set<string>()
  const once = findings.filter(({ code, message }) => {
    if (!code.endsWith('-statistics')) return true
    const isNew = !seen.has(message)
    seen.add(message)
    return isNew
  })
  return once.toSorted((a, b) => ORDER[a.severity] - ORDER[b.severity] || a.nodeId - b.nodeId)
}
