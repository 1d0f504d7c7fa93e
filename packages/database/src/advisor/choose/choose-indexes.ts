import type { CandidateGroup } from '../candidates/candidates-of.ts'
import { signatureOf, type IndexForm } from '../candidates/index-form.ts'
import type { Costed } from '../verify/cost-model.ts'
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

interface Candidate {
  readonly group: CandidateGroup
  gain: number
  /** How many indexes were chosen when the gain was computed. */
  round: number
}

/** A megabyte costs this part of the workload's whole time: memory and backups are not free. */
const TIME_PER_MEGABYTE = 0.00001
/**
 * What its statements may lose of all that is saved for them, when an index goes: so near to another
 * plan, the planner may well take that one once the indexes are there.
 */
const MAX_PRUNED_LOSS = 0.005
/** What included columns must save beyond the index without them, as a part of its gain. */
const MIN_COVERING_GAIN = 0.01
/** Part of a statement's time that an index must save to be worth anything. */
const MIN_IMPROVEMENT = 0.1

/**
 * The set of indexes that saves most: greedily by gain over the whole workload, lazily recomputed
 * (Minoux, "Accelerated Greedy Algorithms", 1978), then without those that others have made needless.
 */
export async function chooseIndexes(input: ChoiceInput): Promise<readonly IndexForm[]> {
  const choice = new Choice(input)
  await choice.grow()
  await choice.prune()
  return choice.chosen
}

function included(group: CandidateGroup): number {
  return group.reduce((sum, { include }) => sum + include.length, 0)
}

class Choice {
  chosen: readonly IndexForm[] = []
  readonly #input: ChoiceInput
  readonly #totalMs: number
  readonly #times = new Map<BasedEntry, number>()

  constructor(input: ChoiceInput) {
    this.#input = input
    const { entries, timing } = input
    for (const entry of entries) this.#times.set(entry, timing.beforeMs(entry))
    this.#totalMs = entries.reduce((sum, one) => sum + one.entry.calls * timing.beforeMs(one), 0)
  }

  async grow(): Promise<void> {
    const { maxIndexes } = this.#input
    const open: Candidate[] = []
    const gains = new Map<string, number>()
    // Those without included columns come first: they are what covering ones are compared with.
    for (const group of this.#input.groups.toSorted((a, b) => included(a) - included(b))) {
      const gain = await this.#gain(group)
      const [form] = group
      if (group.length > 1 || form === undefined) {
        if (gain > 0) open.push({ group, gain, round: 0 })
        continue
      }
      gains.set(signatureOf(form), gain)
      const plain = gains.get(signatureOf({ ...form, include: [] })) ?? 0
      const isWorthIt = form.include.length === 0 || gain > plain * (1 + MIN_COVERING_GAIN)
      if (gain > 0 && isWorthIt) open.push({ group, gain, round: 0 })
    }
    let round = 0
    while (open.length > 0 && this.chosen.length < maxIndexes) {
      open.sort((a, b) => b.gain - a.gain)
      const [best] = open
      if (best === undefined || best.gain <= 0) break
      if (best.round < round) {
        best.gain = this.#fits(best.group) ? await this.#gain(best.group) : 0
        best.round = round
        continue
      }
      open.shift()
      if (!this.#fits(best.group)) continue
      this.chosen = this.#with(best.group)
      await this.#settle()
      round += 1
    }
  }

  /** Takes out what no plan uses any more, or what saves less than it costs, the least useful first. */
  async prune(): Promise<void> {
    for (const form of this.chosen.toReversed()) {
      const rest = this.chosen.filter((one) => one !== form)
      const lost = await this.#lostWith(rest, form)
      const price = this.#priceOf(form) + this.#savedBy(form) * MAX_PRUNED_LOSS
      if (lost <= price) {
        this.chosen = rest
        await this.#settle()
      }
    }
  }

  #with(group: CandidateGroup): readonly IndexForm[] {
    const known = new Set(this.chosen.map(signatureOf))
    return [...this.chosen, ...group.filter((form) => !known.has(signatureOf(form)))]
  }

  #fits(group: CandidateGroup): boolean {
    const { sizeBytes, maxSizeBytes, maxIndexes } = this.#input
    const all = this.#with(group)
    const size = all.reduce((sum, form) => sum + sizeBytes(form), 0)
    return size <= maxSizeBytes && all.length <= maxIndexes && all.length > this.chosen.length
  }

  async #settle(): Promise<void> {
    for (const entry of this.#input.entries) {
      this.#times.set(entry, await this.#timeWith(entry, this.chosen))
    }
  }

  async #timeWith(entry: BasedEntry, forms: readonly IndexForm[]): Promise<number> {
    const { model, timing } = this.#input
    const relevant = forms.filter((form) => isRelevant(form, entry.shape))
    if (relevant.length === 0) return timing.beforeMs(entry)
    const costed: Costed = (await model.cost(entry, relevant)) ?? entry.base
    return timing.afterMs(entry, costed)
  }

  async #gain(group: CandidateGroup): Promise<number> {
    this.#input.signal?.throwIfAborted()
    const forms = this.#with(group)
    let saved = 0
    for (const entry of this.#input.entries) {
      if (!group.some((form) => isRelevant(form, entry.shape))) continue
      const now = this.#times.get(entry) ?? 0
      const less = now - (await this.#timeWith(entry, forms))
      if (less > now * MIN_IMPROVEMENT) saved += less * entry.entry.calls
    }
    const added = forms.slice(this.chosen.length)
    return saved - added.reduce((sum, form) => sum + this.#priceOf(form), 0)
  }

  async #lostWith(rest: readonly IndexForm[], form: IndexForm): Promise<number> {
    let lost = 0
    for (const entry of this.#input.entries) {
      if (!isRelevant(form, entry.shape)) continue
      const more = (await this.#timeWith(entry, rest)) - (this.#times.get(entry) ?? 0)
      lost += Math.max(0, more) * entry.entry.calls
    }
    return lost
  }

  #savedBy(form: IndexForm): number {
    let saved = 0
    for (const entry of this.#input.entries) {
      if (!isRelevant(form, entry.shape)) continue
      const less = this.#input.timing.beforeMs(entry) - (this.#times.get(entry) ?? 0)
      saved += less * entry.entry.calls
    }
    return saved
  }

  #priceOf(form: IndexForm): number {
    const { writeCostMs, sizeBytes } = this.#input
    return writeCostMs(form) + (sizeBytes(form) / 1024 ** 2) * TIME_PER_MEGABYTE * this.#totalMs
  }
}
