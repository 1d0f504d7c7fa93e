import type { CandidateGroup } from '../candidates/candidates-of.ts'
import { signatureOf, type IndexForm } from '../candidates/index-form.ts'
import { isRelated, isSame, mergedForm } from '../candidates/related-forms.ts'
import type { CombinedModel } from '../verify/combined-model.ts'
import { isRelevant } from './relevance.ts'
import type { BasedEntry, Timing } from './timing.ts'

/** What the choice is made by. */
export interface ChoiceInput {
  readonly entries: readonly BasedEntry[]
  readonly groups: readonly CandidateGroup[]
  readonly model: CombinedModel
  readonly timing: Timing
  readonly writeCostMs: (form: IndexForm) => number
  readonly sizeBytes: (form: IndexForm) => number
  readonly maxSizeBytes: number
  readonly maxIndexes: number
  readonly signal: AbortSignal | undefined
}

/** How a set differs from the chosen one. */
interface Difference {
  readonly added: readonly IndexForm[]
  readonly removed: readonly IndexForm[]
  /** What is saved of writes and size. */
  readonly gain: number
}

interface Candidate {
  readonly group: CandidateGroup
  gain: number
  /** How many indexes were chosen when the gain was computed. */
  round: number
}

/**
 * Part of a statement's time that a set must change to count, for better or worse: plans that are nearer
 * to each other the planner may choose otherwise, once the indexes are really there.
 */
const MIN_DIFFERENCE = 0.1
const PAGE_BYTES = 8_192

/**
 * The set of indexes that saves most: greedily by gain over the whole workload, lazily recomputed
 * (Minoux, "Accelerated Greedy Algorithms", 1978), then improved by single steps while there are any. Each
 * step is judged by plans with all indexes of the set together.
 */
export async function chooseIndexes(input: ChoiceInput): Promise<readonly IndexForm[]> {
  const choice = new Choice(input)
  await choice.grow()
  await choice.improve()
  return choice.chosen
}

class Choice {
  chosen: readonly IndexForm[] = []
  readonly #input: ChoiceInput
  #msPerByte = 0

  constructor(input: ChoiceInput) {
    this.#input = input
  }

  async grow(): Promise<void> {
    this.#msPerByte = await this.#timeOfBytes()
    const open: Candidate[] = []
    for (const group of this.#input.groups) {
      const gain = await this.#gain(group)
      if (gain > 0) open.push({ group, gain, round: 0 })
    }
    let round = 0
    while (open.length > 0) {
      open.sort((a, b) => b.gain - a.gain)
      const [best] = open
      if (best === undefined || best.gain <= 0) break
      const forms = this.#with(best.group)
      if (best.round < round) {
        best.gain = this.#fits(forms) ? await this.#gain(forms) : 0
        best.round = round
        continue
      }
      open.shift()
      if (!this.#fits(forms)) continue
      this.chosen = forms
      round += 1
    }
  }

  /**
   * Takes the best of all single steps, until none is one: an index goes that others have made needless or
   * that saves less than it costs, two become one, or one becomes another of its columns.
   */
  async improve(): Promise<void> {
    const seen = new Set<string>()
    for (;;) {
      let best: { readonly forms: readonly IndexForm[]; readonly gain: number } | undefined
      for (const forms of this.#steps()) {
        const least = best?.gain ?? 0
        if (seen.has(keyOf(forms)) || (await this.#highestGain(forms)) <= least) continue
        const gain = await this.#gain(forms)
        if (gain > least) best = { forms, gain }
      }
      if (best === undefined) return
      // Differences that do not count could lead in a circle.
      seen.add(keyOf(this.chosen))
      this.chosen = best.forms
    }
  }

  *#steps(): Generator<readonly IndexForm[]> {
    const singles = this.#input.groups.flatMap((group) => group)
    for (const form of this.chosen) yield this.chosen.filter((one) => one !== form)
    for (const form of this.chosen) {
      const rest = this.chosen.filter((one) => one !== form)
      for (const other of new Map(singles.map((one) => [signatureOf(one), one])).values()) {
        if (!isRelated(form, other) || rest.some((one) => isSame(one, other))) continue
        if (!isSame(form, other) && this.#fits([...rest, other])) yield [...rest, other]
      }
      for (const other of rest) {
        const merged = mergedForm(form, other)
        const others = rest.filter((one) => one !== other)
        if (merged !== undefined && this.#fits([...others, merged])) yield [...others, merged]
      }
    }
  }

  #with(group: CandidateGroup): readonly IndexForm[] {
    const known = new Set(this.chosen.map(signatureOf))
    return [...this.chosen, ...group.filter((form) => !known.has(signatureOf(form)))]
  }

  #fits(forms: readonly IndexForm[]): boolean {
    const { sizeBytes, maxSizeBytes, maxIndexes } = this.#input
    const size = forms.reduce((sum, form) => sum + sizeBytes(form), 0)
    return size <= maxSizeBytes && forms.length <= maxIndexes
  }

  /**
   * The price of a byte. An assumption: indexes may take the part of their tables' size that they save of
   * the time which their statements take with the best index for each.
   */
  async #timeOfBytes(): Promise<number> {
    const { entries, groups, timing } = this.#input
    let ms = 0
    for (const entry of entries) {
      const before = timing.beforeMs(entry)
      let best = before
      for (const group of groups) best = Math.min(best, await this.#timeWith(entry, group))
      if (before - best > before * MIN_DIFFERENCE) ms += best * entry.entry.calls
    }
    const tables = new Set(groups.flat().map(({ table }) => table))
    const pages = [...tables].reduce((sum, table) => sum + table.pages, 0)
    return ms / Math.max(1, pages * PAGE_BYTES)
  }

  /** The most that a set could save: all the time of those statements that the new ones are for. */
  async #highestGain(forms: readonly IndexForm[]): Promise<number> {
    const { added, gain } = this.#difference(forms)
    let most = gain
    for (const entry of this.#input.entries) {
      if (!added.some((form) => isRelevant(form, entry.shape))) continue
      most += (await this.#timeWith(entry, this.chosen)) * entry.entry.calls
    }
    return most
  }

  /** What the workload saves by another set than the chosen one, less what that costs more. */
  async #gain(forms: readonly IndexForm[]): Promise<number> {
    this.#input.signal?.throwIfAborted()
    const { added, removed, gain: cheaper } = this.#difference(forms)
    let gain = cheaper
    for (const entry of this.#input.entries) {
      if (![...added, ...removed].some((form) => isRelevant(form, entry.shape))) continue
      const before = await this.#timeWith(entry, this.chosen)
      const after = await this.#timeWith(entry, forms)
      const isDifferent = Math.abs(before - after) > Math.max(before, after) * MIN_DIFFERENCE
      if (isDifferent) gain += (before - after) * entry.entry.calls
    }
    return gain
  }

  #difference(forms: readonly IndexForm[]): Difference {
    const added = forms.filter((form) => !this.chosen.includes(form))
    const removed = this.chosen.filter((form) => !forms.includes(form))
    return { added, removed, gain: this.#priceOf(removed) - this.#priceOf(added) }
  }

  async #timeWith(entry: BasedEntry, forms: readonly IndexForm[]): Promise<number> {
    const { model, timing } = this.#input
    const relevant = forms.filter((form) => isRelevant(form, entry.shape))
    if (relevant.length === 0) return timing.beforeMs(entry)
    return timing.afterMs(entry, (await model.cost(entry, relevant)) ?? entry.base)
  }

  #priceOf(forms: readonly IndexForm[]): number {
    const { writeCostMs, sizeBytes } = this.#input
    return forms.reduce(
      (sum, form) => sum + writeCostMs(form) + sizeBytes(form) * this.#msPerByte,
      0,
    )
  }
}

function keyOf(forms: readonly IndexForm[]): string {
  return forms.map(signatureOf).toSorted().join('; ')
}
