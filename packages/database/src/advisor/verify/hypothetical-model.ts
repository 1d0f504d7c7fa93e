import type { AdvisorSession } from '../advisor-session.ts'
import type { AnalyzedEntry } from '../candidates/constants.ts'
import { definitionOf, signatureOf, type IndexForm } from '../candidates/index-form.ts'
import type { Costed, CostModel } from './cost-model.ts'
import { explainCost, isRefusal } from './explain-cost.ts'

/** Costs by HypoPG, whose indexes only the session's planner sees. Nothing is written. */
export class HypotheticalModel implements CostModel {
  readonly verification = 'hypothetical'
  readonly #session: AdvisorSession
  readonly #refused = new Set<string>()
  readonly #costs = new Map<string, Promise<Costed | undefined>>()
  /** Names that HypoPG has given, of the indexes that are there now. */
  readonly #present = new Map<string, { readonly name: string; readonly oid: number }>()

  constructor(session: AdvisorSession) {
    this.#session = session
  }

  supports({ method }: IndexForm): boolean {
    return method === 'btree' || method === 'brin'
  }

  cost(analyzed: AnalyzedEntry, forms: readonly IndexForm[]): Promise<Costed | undefined> {
    const tables = new Set(analyzed.shape.uses.map(({ table }) => table.oid))
    const wanted = forms
      .filter((form) => tables.has(form.table.oid) && !this.#refused.has(signatureOf(form)))
      .toSorted((a, b) => signatureOf(a).localeCompare(signatureOf(b)))
    const key = JSON.stringify([analyzed.entry.text, ...wanted.map(signatureOf)])
    const known = this.#costs.get(key)
    if (known !== undefined) return known
    const cost = this.#ask(analyzed, wanted)
    this.#costs.set(key, cost)
    return cost
  }

  sizeOf(): undefined {
    return undefined
  }

  /** Leaves the session as it was. */
  async close(): Promise<void> {
    await this.#session.query('select hypopg_reset()')
  }

  async #ask(analyzed: AnalyzedEntry, forms: readonly IndexForm[]): Promise<Costed | undefined> {
    await this.#install(forms)
    const explained = await explainCost(this.#session, analyzed)
    if (explained === undefined) return undefined
    const used = new Set<string>()
    for (const [signature, { name }] of this.#present) {
      if (explained.indexes.has(name)) used.add(signature)
    }
    return { cost: explained.cost, used }
  }

  async #install(forms: readonly IndexForm[]): Promise<void> {
    const wanted = new Map(forms.map((form) => [signatureOf(form), form]))
    const needless = [...this.#present].filter(([signature]) => !wanted.has(signature))
    for (const [signature, { oid }] of needless) {
      await this.#session.query('select hypopg_drop_index($1)', [oid])
      this.#present.delete(signature)
    }
    for (const [signature, form] of wanted) {
      if (!this.#present.has(signature)) await this.#create(form)
    }
  }

  async #create(form: IndexForm): Promise<void> {
    try {
      const { rows } = await this.#session.query<{ readonly name: string; readonly oid: number }>(
        'select indexname as name, indexrelid as oid from hypopg_create_index($1)',
        [definitionOf(form)],
      )
      const [created] = rows
      if (created !== undefined) this.#present.set(signatureOf(form), created)
    } catch (error) {
      // An expression that is not immutable, a type without the operator class, and so on.
      if (!isRefusal(error)) throw error
      this.#refused.add(signatureOf(form))
    }
  }
}
