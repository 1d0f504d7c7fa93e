import type { AdvisorSession } from '../advisor-session.ts'
import type { AnalyzedEntry } from '../candidates/constants.ts'
import { parsePlan } from '../../postgres/plan/parse-plan.ts'
import { nodesOf, type PlanNode } from '../../postgres/plan/plan-tree.ts'
import { parametersOf } from './parameters.ts'

/** The planner's view of a statement, over its samples of parameters. */
export interface ExplainedCost {
  /** The mean. */
  readonly cost: number
  /** Names of indexes that at least one plan uses. */
  readonly indexes: ReadonlySet<string>
  readonly plans: readonly PlanNode[]
}

/** Asks for the plans without running the statement; `undefined` where the server refuses it. */
export async function explainCost(
  session: AdvisorSession,
  analyzed: AnalyzedEntry,
  text: string = analyzed.entry.text,
): Promise<ExplainedCost | undefined> {
  const plans: PlanNode[] = []
  for (const values of parametersOf(analyzed)) {
    const plan = await explain(session, text, values)
    if (plan !== undefined) plans.push(plan)
  }
  if (plans.length === 0) return undefined
  const indexes = new Set<string>()
  for (const plan of plans) {
    for (const { index } of nodesOf(plan)) if (index !== undefined) indexes.add(index)
  }
  const total = plans.reduce((sum, plan) => sum + plan.estimated.totalCost, 0)
  return { cost: total / plans.length, indexes, plans }
}

async function explain(
  session: AdvisorSession,
  text: string,
  values: readonly unknown[],
): Promise<PlanNode | undefined> {
  const explaining = `/* advisor */ explain (format json) ${text}`
  try {
    const { rows } = await session.query<{ 'QUERY PLAN': unknown }>(explaining, values)
    return parsePlan(rows[0]?.['QUERY PLAN']).root
  } catch (error) {
    if (isRefusal(error)) return undefined
    throw error
  }
}

/** Runs of a statement whose time counts: the shortest is the least disturbed by whatever else runs. */
const TIMED_RUNS = 3
/** No further run after this. */
const TIMED_MS = 100

/** Runs the statement in the transaction that is open, and gives the shortest time; `undefined` where it fails. */
export async function timeOf(
  session: AdvisorSession,
  analyzed: AnalyzedEntry,
  text: string,
): Promise<number | undefined> {
  const [values = []] = parametersOf(analyzed)
  const running = `/* advisor */ explain (analyze, timing off, format json) ${text}`
  let best: number | undefined
  let total = 0
  try {
    for (let run = 0; run < TIMED_RUNS && total < TIMED_MS; run++) {
      const { rows } = await session.query<{ 'QUERY PLAN': unknown }>(running, values)
      const ms = parsePlan(rows[0]?.['QUERY PLAN']).executionMs ?? Infinity
      best = Math.min(best ?? Infinity, ms)
      total += ms
    }
  } catch (error) {
    // The transaction is aborted now, and undone by whoever began it.
    if (!isRefusal(error) && !isCancelled(error)) throw error
    return undefined
  }
  return best
}

function isCancelled(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'code') === '57014'
}

/** Whether the server says that a statement is wrong, and not that it is going away. */
export function isRefusal(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  // Data, syntax and access, objects, features; not connections, resources or operators.
  return typeof code === 'string' && /^(?:0A|22|23|25006|25P02|3F|42|55)/.test(code)
}
