import type { CopyLine } from '../copy/copy-line.ts'
import { rollBack } from '../in-transaction.ts'
import { checkOneStatement } from '../sql-tokens.ts'
import type { SqlStatement } from '../sql.ts'
import type { PlanFinding } from './finding.ts'
import { findProblems } from './find-problems.ts'
import { parsePlan } from './parse-plan.ts'
import type { Plan } from './plan-tree.ts'
import { redactPlan } from './redact-plan.ts'
import { readRelationFacts } from './relation-facts.ts'

export interface ExplainOptions {
  /**
   * Whether the statement is run, in a transaction that is rolled back. What a rollback does not undo,
   * such as a sequence's next value, stays. @default false
   */
  readonly analyze?: boolean
  /** Whether literal values in conditions are replaced by `?`. @default true */
  readonly redact?: boolean
  /** Longest time until the answer. Above 0. @default the manager's `queryTimeoutMs` */
  readonly timeoutMs?: number | undefined
  /** Cancels on the server; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** A plan and what is wrong with it. Plain data: `JSON.stringify` gives its JSON. */
export interface Explanation extends Plan {
  /** The worst first. */
  readonly findings: readonly PlanFinding[]
}

/** @throws TypeError for several statements in one text, PostgresQueryError */
export async function explainStatement(
  line: CopyLine,
  { text, values }: SqlStatement,
  { analyze = false, redact = true }: ExplainOptions,
): Promise<Explanation> {
  checkOneStatement(text)
  const flags = analyze ? 'format json, verbose, analyze, buffers' : 'format json, verbose'
  const read = async (): Promise<Plan> => {
    const rows = await line.query<{ readonly 'QUERY PLAN': unknown }>(
      `explain (${flags}) ${text}`,
      values,
    )
    return parsePlan(rows[0]?.['QUERY PLAN'])
  }
  const plan = analyze ? await undone(line, read) : await read()
  const factsOf = await readRelationFacts(line, plan.root)
  const shown = redact ? redactPlan(plan) : plan
  return { ...shown, findings: findProblems(shown, factsOf) }
}

async function undone<R>(line: CopyLine, work: () => Promise<R>): Promise<R> {
  await line.control('begin')
  try {
    return await work()
  } finally {
    line.settleAfter(() => rollBack(line))
  }
}
