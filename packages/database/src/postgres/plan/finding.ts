import type { FactsOf } from './relation-facts.ts'
import type { Plan, PlanNode } from './plan-tree.ts'

export type FindingCode =
  | 'sequential-scan'
  | 'rows-misestimated'
  | 'sort-spilled'
  | 'hash-spilled'
  | 'nested-loop'
  | 'index-recheck'
  | 'lossy-bitmap'
  | 'rows-removed-by-filter'
  | 'rows-removed-by-join-filter'
  | 'visibility-map'
  | 'never-executed'
  | 'jit-cost'
  | 'missing-statistics'
  | 'stale-statistics'

/** Something about a plan that costs time, and what to do about it. */
export interface PlanFinding {
  readonly code: FindingCode
  /** `high`: most of the work is for nothing; `low`: good to know. */
  readonly severity: 'high' | 'medium' | 'low'
  /** The step it is about. */
  readonly nodeId: number
  readonly message: string
  readonly remedy: string
}

/** Looks at one step of a plan. */
export type PlanRule = (node: PlanNode, context: RuleContext) => PlanFinding | undefined

export interface RuleContext {
  readonly plan: Plan
  readonly factsOf: FactsOf
  /** From the root down to the parent. */
  readonly ancestors: readonly PlanNode[]
}

/** `posts`, or `posts as p`; the step's type where it reads no table. */
export function subjectOf({ relation, type }: PlanNode): string {
  return relation?.name ?? type
}

/** Whole rows as people read them. */
export function rowsText(rows: number): string {
  return `${Math.round(rows).toLocaleString('en-US')} ${Math.round(rows) === 1 ? 'row' : 'rows'}`
}
