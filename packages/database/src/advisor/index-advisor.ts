import { parseTree } from '../sql/index.ts'
import type { Advice } from './advice.ts'
import {
  resolveAdvisorOptions,
  type AdvisorSettings,
  type IndexAdvisorOptions,
} from './advisor-options.ts'
import type { AdvisorSession } from './advisor-session.ts'
import { analyzeStatement } from './analysis/analyze-statement.ts'
import { candidatesOf, type CandidateGroup } from './candidates/candidates-of.ts'
import { Constants, type AnalyzedEntry } from './candidates/constants.ts'
import { demandOf } from './candidates/demand.ts'
import { signatureOf, type IndexForm } from './candidates/index-form.ts'
import { indexSizeBytes } from './candidates/index-size.ts'
import { Catalog } from './catalog/catalog.ts'
import { chooseIndexes } from './choose/choose-indexes.ts'
import { provenIndexes } from './choose/proven-indexes.ts'
import { Timing, type BasedEntry } from './choose/timing.ts'
import { writeCostMs, writesTo, type TableWrites } from './choose/write-cost.ts'
import { dropsOf } from './drops/drops-of.ts'
import { indexAdviceOf } from './index-advice-of.ts'
import { limitsOf } from './limits-of.ts'
import { rewritesOf } from './rewrites/rewrites-of.ts'
import { CombinedModel } from './verify/combined-model.ts'
import type { CostModel } from './verify/cost-model.ts'
import { EstimateModel } from './verify/estimate-model.ts'
import { HypotheticalModel } from './verify/hypothetical-model.ts'
import { SampledCopyModel } from './verify/sampled-copy-model.ts'
import type { Workload, WorkloadEntry } from './workload/workload.ts'

/** Says which indexes a workload wants, which it does not need, and which statements to write otherwise. */
export class IndexAdvisor {
  readonly #session: AdvisorSession
  readonly #settings: AdvisorSettings

  /**
   * `session` is used alone while it advises, and outside of a transaction.
   * @throws RangeError naming option, limit and value
   */
  constructor(session: AdvisorSession, options: IndexAdvisorOptions = {}) {
    this.#session = session
    this.#settings = resolveAdvisorOptions(options)
  }

  /** Only plans statements, unless `copiesTables` is set: then those that only read are run too, on copies,
   * for two seconds at most, in read-only transactions that are undone. */
  async advise(workload: Workload): Promise<Advice> {
    const catalog = await Catalog.read(this.#session)
    const analyzed = await this.#analyze(workload, catalog)
    await using models = new Models(this.#session, catalog, this.#settings)
    const { model, proof } = models
    await proof?.sweep()
    const entries: BasedEntry[] = []
    const refused: string[] = []
    for (const one of analyzed) {
      this.#settings.signal?.throwIfAborted()
      const base = one.shape.uses.length === 0 ? undefined : await model.cost(one, [])
      if (base !== undefined) entries.push({ ...one, base })
      else if (one.shape.uses.length > 0) refused.push(one.entry.fingerprint)
    }
    const timing = new Timing(entries)
    const { workloadSeconds, maxIndexes, maxSizeBytes, signal } = this.#settings
    const { statisticsSeconds } = catalog.server
    const writesOf = (table: IndexForm['table']): TableWrites => {
      return writesTo(table, analyzed, { workloadSeconds, statisticsSeconds })
    }
    const sizeBytes = (form: IndexForm): number => {
      return model.sizeOf(form) ?? indexSizeBytes(form)
    }
    const chosen = await chooseIndexes({
      entries,
      groups: groupsOf(entries, catalog),
      model,
      timing,
      writeCostMs: (form) => writeCostMs(form, writesOf(form.table)),
      sizeBytes,
      maxSizeBytes,
      maxIndexes,
      signal,
    })
    const forms =
      proof === undefined ? chosen : await provenIndexes(chosen, { entries, model, proof })
    const { indexes, msBefore, msAfter } = await indexAdviceOf(forms, {
      entries,
      model,
      timing,
      writesOf,
      sizeBytes,
      server: catalog.server,
    })
    return {
      indexes,
      drops: dropsOf(catalog, this.#settings),
      rewrites: await rewritesOf(analyzed, catalog),
      msBefore,
      msAfter,
      statements: { analyzed: entries.length, refused, unreadable: workload.unreadable },
      limits: limitsOf(catalog, analyzed, this.#settings),
    }
  }

  async #analyze(workload: Workload, catalog: Catalog): Promise<readonly AnalyzedEntry[]> {
    const heaviest = workload.entries
      .toSorted((a, b) => weight(b) - weight(a))
      .slice(0, this.#settings.maxStatements)
    const analyzed: AnalyzedEntry[] = []
    for (const entry of heaviest) {
      const shape = analyzeStatement(await parseTree(entry.text), catalog)
      analyzed.push({ entry, shape })
    }
    return analyzed
  }
}

/** The ways of verifying that this server and these settings allow, closed at the end. */
class Models implements AsyncDisposable {
  readonly model: CombinedModel
  /** Builds indexes really. */
  readonly proof: SampledCopyModel | undefined
  readonly #closed: (() => Promise<void>)[] = []

  constructor(session: AdvisorSession, { server }: Catalog, settings: AdvisorSettings) {
    const models: CostModel[] = []
    let proof: SampledCopyModel | undefined
    if (server.hasHypopg) {
      const hypothetical = new HypotheticalModel(session)
      models.push(hypothetical)
      this.#closed.push(() => hypothetical.close())
    }
    if (settings.copiesTables) {
      const copies = new SampledCopyModel(session, {
        maxRows: settings.maxCopyRows,
        supports: (form) => server.hasTrigram || !isTrigram(form),
      })
      models.push(copies)
      proof = copies
      this.#closed.push(() => copies.close())
    }
    this.proof = proof
    this.model = new CombinedModel([...models, new EstimateModel(session)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closed) await close()
  }
}

function groupsOf(entries: readonly BasedEntry[], catalog: Catalog): readonly CandidateGroup[] {
  const constants = new Constants(entries)
  const demand = demandOf(entries)
  const groups = new Map<string, CandidateGroup>()
  for (const entry of entries) {
    for (const group of candidatesOf(entry, constants, demand, catalog.server)) {
      groups.set(group.map(signatureOf).toSorted().join('; '), group)
    }
  }
  return [...groups.values()]
}

function isTrigram({ keys }: IndexForm): boolean {
  return keys.some(({ operatorClass }) => operatorClass === 'gin_trgm_ops')
}

function weight({ calls, meanMs = 1 }: WorkloadEntry): number {
  return calls * meanMs
}
