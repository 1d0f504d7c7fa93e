import type { IndexForm } from '../candidates/index-form.ts'
import { uses } from '../verify/combined-model.ts'
import type { CostModel } from '../verify/cost-model.ts'
import { isRelevant } from './relevance.ts'
import type { BasedEntry } from './timing.ts'

/**
 * The indexes that are still used where all of them are really built. HypoPG's planner does not see all
 * that the real one does, such as a partial index that is read as a whole for its condition alone. An index
 * goes where each statement that it was for now uses another index of the table; a statement that uses none
 * says nothing, for its copy may be too small for any. Repeated until all stay.
 */
export async function provenIndexes(
  forms: readonly IndexForm[],
  {
    entries,
    model,
    proof,
  }: {
    readonly entries: readonly BasedEntry[]
    readonly model: Pick<CostModel, 'cost'>
    readonly proof: CostModel
  },
): Promise<readonly IndexForm[]> {
  const needed = new Set<IndexForm>()
  const replaced = new Set<IndexForm>()
  for (const entry of entries) {
    const relevant = forms.filter((form) => isRelevant(form, entry.shape))
    if (relevant.length === 0) continue
    const thought = await model.cost(entry, relevant)
    const real = await proof.cost(
      entry,
      relevant.filter((form) => proof.supports(form)),
    )
    for (const form of relevant) {
      if (real !== undefined && uses(real, form)) needed.add(form)
      else if (thought !== undefined && uses(thought, form)) {
        const isReplaced = relevant.some((other) => {
          return other.table === form.table && real !== undefined && uses(real, other)
        })
        const told = isReplaced ? replaced : needed
        told.add(form)
      }
    }
  }
  const last = forms.findLast((form) => replaced.has(form) && !needed.has(form))
  if (last === undefined) return forms
  const rest = forms.filter((form) => form !== last)
  return provenIndexes(rest, { entries, model, proof })
}
