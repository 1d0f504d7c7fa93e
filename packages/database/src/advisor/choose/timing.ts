import type { AnalyzedEntry } from '../candidates/constants.ts'
import type { Costed } from '../verify/cost-model.ts'

/** An assumption: milliseconds of a unit of cost where nobody has measured anything. */
export const DEFAULT_MS = 0.01

/** A statement with its cost as it is. */
export interface BasedEntry extends AnalyzedEntry {
  readonly base: Costed
}

/**
 * Turns costs into times. The planner is wrong about single statements by factors: the measured mean is
 * the time before, and what the median of all statements takes for a unit of cost says what a good plan
 * would take.
 */
export class Timing {
  /** Whether any time of the workload was measured, and none is an assumption. */
  readonly isMeasured: boolean
  readonly #msPerCost: number

  constructor(entries: readonly BasedEntry[]) {
    const ratios = entries
      .flatMap(({ entry, base }) => (entry.meanMs === undefined ? [] : [entry.meanMs / base.cost]))
      .toSorted((a, b) => a - b)
    this.isMeasured = ratios.length > 0
    this.#msPerCost = ratios[Math.floor(ratios.length / 2)] ?? DEFAULT_MS
  }

  beforeMs({ entry, base }: BasedEntry): number {
    return entry.meanMs ?? base.cost * this.#msPerCost
  }

  afterMs(based: BasedEntry, after: Costed): number {
    const before = this.beforeMs(based)
    if (after.used.size === 0 || after.cost >= based.base.cost) return before
    if (after.timeRatio !== undefined) return before * Math.min(1, after.timeRatio)
    const byRatio = (before * after.cost) / based.base.cost
    return Math.min(before, byRatio, after.cost * this.#msPerCost)
  }
}
