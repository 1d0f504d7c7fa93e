import type { AnalyzedEntry } from '../candidates/constants.ts'
import { signatureOf, type IndexForm } from '../candidates/index-form.ts'
import type { Costed, CostModel, Verification } from './cost-model.ts'

/** Asks for each index the first of several models that can have it. */
export class CombinedModel {
  readonly #models: readonly CostModel[]

  /** The best first; the last supports every index. */
  constructor(models: readonly CostModel[]) {
    this.#models = models
  }

  verificationOf(form: IndexForm): Verification {
    return this.#models.find((model) => model.supports(form))?.verification ?? 'estimate'
  }

  sizeOf(form: IndexForm): number | undefined {
    return this.#models.map((model) => model.sizeOf(form)).find((size) => size !== undefined)
  }

  /**
   * What the first model says that can have all the indexes together and ask the planner; where there is
   * none, the least cost that a model gives with the indexes that are its own.
   */
  async cost(analyzed: AnalyzedEntry, forms: readonly IndexForm[]): Promise<Costed | undefined> {
    const whole = this.#models.find((model) => {
      return model.verification !== 'estimate' && forms.every((form) => model.supports(form))
    })
    if (whole !== undefined && forms.length > 0) return whole.cost(analyzed, forms)
    const own = Map.groupBy(forms, (form) =>
      this.#models.findIndex((model) => model.supports(form)),
    )
    let best: Costed | undefined
    for (const [at, model] of this.#models.entries()) {
      const group = own.get(at)
      // Asked once without any index, a model knows the cost as it is before others hide it.
      if (at > 0 && group === undefined && forms.length > 0) continue
      const cost = await model.cost(analyzed, group ?? [])
      if (cost !== undefined && (best === undefined || cost.cost < best.cost)) best = cost
    }
    return best
  }
}

/** Whether a plan uses the index. */
export function uses(costed: Costed, form: IndexForm): boolean {
  return costed.used.has(signatureOf(form))
}
