import type { AdvisorSession } from '../advisor-session.ts'
import type { Predicate, TableUse } from '../analysis/statement-shape.ts'
import type { AnalyzedEntry } from '../candidates/constants.ts'
import { signatureOf, type IndexForm } from '../candidates/index-form.ts'
import { distinctValues } from '../catalog/catalog.ts'
import { nodesOf, type PlanNode } from '../../postgres/plan/plan-tree.ts'
import type { Costed, CostModel } from './cost-model.ts'
import { explainCost, type ExplainedCost } from './explain-cost.ts'

/** Cost of a row fetched by an index, and of the way down to it, as the planner's defaults have it. */
const ROW_COST = 4
const DESCENT_COST = 10
/** Rows that a condition of GIN is thought to find, as a part of all. */
const INVERTED_SELECTIVITY = 0.005
const RANGE_SELECTIVITY = 0.1
/** Rows read for a LIMIT by an index in order. */
const LIMIT_ROWS = 100

/** Costs by arithmetic over the statistics, where nothing better may be had: a guess, and marked as one. */
export class EstimateModel implements CostModel {
  readonly verification = 'estimate'
  readonly #session: AdvisorSession
  readonly #plans = new Map<string, Promise<ExplainedCost | undefined>>()

  constructor(session: AdvisorSession) {
    this.#session = session
  }

  supports(): boolean {
    return true
  }

  sizeOf(): undefined {
    return undefined
  }

  async cost(analyzed: AnalyzedEntry, forms: readonly IndexForm[]): Promise<Costed | undefined> {
    const { text } = analyzed.entry
    const asked = this.#plans.get(text) ?? explainCost(this.#session, analyzed)
    this.#plans.set(text, asked)
    const explained = await asked
    const plan = explained?.plans[0]
    if (explained === undefined || plan === undefined) return undefined
    const used = new Set<string>()
    let saved = 0
    for (const scan of nodesOf(plan)) {
      const best = bestFor(scan, analyzed.shape.uses, forms)
      if (best === undefined || best.cost > scan.estimated.totalCost * 0.5) continue
      saved += scan.estimated.totalCost - best.cost
      used.add(signatureOf(best.form))
    }
    return { cost: Math.max(DESCENT_COST, explained.cost - saved), used }
  }
}

function bestFor(
  { type, relation }: PlanNode,
  uses: readonly TableUse[],
  forms: readonly IndexForm[],
): { readonly form: IndexForm; readonly cost: number } | undefined {
  if (!type.endsWith('Seq Scan')) return undefined
  const use = uses.find(({ table, alias }) => {
    return table.name === relation?.name && alias === relation.alias
  })
  if (use === undefined) return undefined
  const costs = forms
    .filter(({ table }) => table.oid === use.table.oid)
    .map((form) => ({ form, cost: costOf(form, use) }))
  return costs.toSorted((a, b) => a.cost - b.cost)[0]
}

function costOf(form: IndexForm, use: TableUse): number {
  const rows = use.table.rows * selectivityOf(form, use)
  const isSorted = use.hasLimit && use.sort.every(({ key }) => hasKey(form, key.sql))
  return (
    DESCENT_COST + ROW_COST * (isSorted && use.sort.length > 0 ? Math.min(rows, LIMIT_ROWS) : rows)
  )
}

/** Rows that the index gives for all conditions that its leading keys serve. */
function selectivityOf({ keys, predicate, method }: IndexForm, { predicates }: TableUse): number {
  let selectivity = predicate === undefined ? 1 : 0.1
  for (const { sql } of keys) {
    const served = predicates.find(({ key, kind }) => key.sql === sql && kind !== 'join')
    if (served === undefined) break
    selectivity *= method === 'gin' ? INVERTED_SELECTIVITY : selectivityOfPredicate(served)
  }
  return selectivity
}

function selectivityOfPredicate({ kind, key, values }: Predicate): number {
  const { column, use } = key
  if (kind === 'is-null') return column?.nullFraction ?? 0.1
  if (kind === 'range' || kind === 'prefix') return RANGE_SELECTIVITY
  const distinct = column === undefined ? 200 : distinctValues(use.table, column)
  return Math.min(1, Math.max(1, values.length) / distinct)
}

function hasKey({ keys }: IndexForm, sql: string): boolean {
  return keys.some((key) => key.sql === sql)
}
