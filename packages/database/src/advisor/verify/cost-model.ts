import type { AnalyzedEntry } from '../candidates/constants.ts'
import type { IndexForm } from '../candidates/index-form.ts'

/** How an index was verified: by the planner with a hypothetical one, by a real one on a copy, or not. */
export type Verification = 'hypothetical' | 'sampled-copy' | 'estimate'

/** What a statement would cost. */
export interface Costed {
  /** In the planner's unit. */
  readonly cost: number
  /** Signatures of the indexes that its plan uses. */
  readonly used: ReadonlySet<string>
  /** Its time with the indexes as a part of that without, where both were measured. */
  readonly timeRatio?: number | undefined
}

/** Whoever can say what a statement would cost with indexes that are not there. */
export interface CostModel {
  readonly verification: Verification
  supports(form: IndexForm): boolean
  /** The first call for a statement has no forms. `undefined` where the server refuses the statement or an index. */
  cost(analyzed: AnalyzedEntry, forms: readonly IndexForm[]): Promise<Costed | undefined>
  /** Bytes of an index, where it was really built. */
  sizeOf(form: IndexForm): number | undefined
}
