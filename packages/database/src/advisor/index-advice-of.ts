import type { Confidence, CreateIndexAdvice, HelpedQuery, IndexTrait } from './advice.ts'
import { definitionOf, indexNameOf, type IndexForm } from './candidates/index-form.ts'
import type { ServerFacts, TableFacts } from './catalog/catalog.ts'
import { isRelevant } from './choose/relevance.ts'
import type { BasedEntry, Timing } from './choose/timing.ts'
import { writeCostMs, type TableWrites } from './choose/write-cost.ts'
import { uses, type CombinedModel } from './verify/combined-model.ts'
import type { Costed } from './verify/cost-model.ts'

interface AdviceInput {
  readonly entries: readonly BasedEntry[]
  readonly model: CombinedModel
  readonly timing: Timing
  readonly writesOf: (table: TableFacts) => TableWrites
  readonly sizeBytes: (form: IndexForm) => number
  readonly server: ServerFacts
}

interface IndexAdvices {
  readonly indexes: readonly CreateIndexAdvice[]
  readonly msBefore: number
  readonly msAfter: number
}

/** Says of each chosen index what it does, with all others there. */
export async function indexAdviceOf(
  forms: readonly IndexForm[],
  input: AdviceInput,
): Promise<IndexAdvices> {
  const { entries, model, timing } = input
  const helped = new Map<IndexForm, HelpedQuery[]>(forms.map((form) => [form, []]))
  let msBefore = 0
  let msAfter = 0
  for (const entry of entries) {
    const relevant = forms.filter((form) => isRelevant(form, entry.shape))
    const after = (await model.cost(entry, relevant)) ?? entry.base
    msBefore += timing.beforeMs(entry) * entry.entry.calls
    msAfter += timing.afterMs(entry, after) * entry.entry.calls
    for (const form of relevant) {
      if (uses(after, form)) helped.get(form)?.push(helpedOf(entry, after, timing))
    }
  }
  const indexes = forms
    .filter((form) => helped.get(form)?.length !== 0)
    .map((form) => adviceOf(form, helped.get(form) ?? [], input))
  return { indexes: indexes.toSorted((a, b) => b.savedMs - a.savedMs), msBefore, msAfter }
}

function helpedOf(entry: BasedEntry, after: Costed, timing: Timing): HelpedQuery {
  const { fingerprint, statement, calls } = entry.entry
  return {
    fingerprint,
    statement,
    calls,
    costBefore: entry.base.cost,
    costAfter: after.cost,
    msBefore: timing.beforeMs(entry),
    msAfter: timing.afterMs(entry, after),
  }
}

function adviceOf(
  form: IndexForm,
  helps: readonly HelpedQuery[],
  { model, timing, writesOf, sizeBytes, server }: AdviceInput,
): CreateIndexAdvice {
  const { table, method } = form
  const name = indexNameOf(form)
  const writes = writesOf(table)
  const traits = traitsOf(form)
  const needsTrigram = traits.includes('trigram') && !server.hasTrigram
  return {
    kind: 'create-index',
    name,
    schema: table.schema,
    table: table.name,
    method,
    form: traits,
    definition: definitionOf(form, { isConcurrent: true, isRedacted: true }),
    toSql: () => definitionOf(form, { isConcurrent: true }),
    undo: `DROP INDEX CONCURRENTLY ${schemaOf(table)}.${name}`,
    requires: needsTrigram ? ['pg_trgm'] : [],
    helps,
    savedMs: helps.reduce((sum, one) => sum + (one.msBefore - one.msAfter) * one.calls, 0),
    sizeBytes: Math.round(sizeBytes(form)),
    isSizeMeasured: model.sizeOf(form) !== undefined,
    writeMs: writeCostMs(form, writes),
    writeBasis: writes.basis,
    verification: model.verificationOf(form),
    confidence: confidenceOf(form, model, helps, timing),
  }
}

function schemaOf({ quoted, name }: TableFacts): string {
  const end = quoted.endsWith('"') ? name.replaceAll('"', '""').length + 2 : name.length
  return quoted.slice(0, -end - 1)
}

function traitsOf({ method, keys, include, predicate }: IndexForm): readonly IndexTrait[] {
  const classes = keys.map(({ operatorClass = '' }) => operatorClass)
  const traits: readonly (readonly [IndexTrait, boolean])[] = [
    ['compound', keys.length > 1],
    ['partial', predicate !== undefined],
    ['covering', include.length > 0],
    ['expression', keys.some(({ isExpression }) => isExpression)],
    ['pattern', classes.some((one) => one.endsWith('_pattern_ops'))],
    ['gin', method === 'gin'],
    ['trigram', classes.includes('gin_trgm_ops')],
    ['brin', method === 'brin'],
  ]
  return traits.filter(([, isThere]) => isThere).map(([trait]) => trait)
}

/** High where the planner itself was asked, would gain much, and times were measured, not assumed. */
function confidenceOf(
  form: IndexForm,
  model: CombinedModel,
  helps: readonly HelpedQuery[],
  { isMeasured }: Timing,
): Confidence {
  if (model.verificationOf(form) === 'estimate') return 'low'
  const before = helps.reduce((sum, one) => sum + one.costBefore * one.calls, 0)
  const after = helps.reduce((sum, one) => sum + one.costAfter * one.calls, 0)
  // Statistics of an expression are there only after the index is.
  const isKnown = form.keys.every(({ isExpression }) => !isExpression)
  return isKnown && isMeasured && after < before / 2 ? 'high' : 'medium'
}
