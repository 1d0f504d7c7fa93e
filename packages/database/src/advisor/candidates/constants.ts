import type { Predicate, StatementShape, Value } from '../analysis/statement-shape.ts'
import { quoteLiteral } from '../analysis/node-access.ts'
import type { WorkloadEntry } from '../workload/workload.ts'

/** A statement and what it asks. */
export interface AnalyzedEntry {
  readonly entry: WorkloadEntry
  readonly shape: StatementShape
}

/** Part of the runs that must agree on a value before an index is made for it alone. */
const AGREEMENT = 0.95
/** Samples below which their agreement says nothing. */
const MIN_SAMPLES = 10

/** What conditions are compared with, over all texts and samples of a fingerprint. */
export class Constants {
  readonly #calls = new Map<string, Map<string, number>>()

  constructor(analyzed: readonly AnalyzedEntry[]) {
    for (const { entry, shape } of analyzed) {
      for (const { predicates } of shape.uses) {
        for (const predicate of predicates) this.#note(entry, predicate)
      }
    }
  }

  /** The one value, as SQL writes it, that nearly all runs compare with. */
  of(entry: WorkloadEntry, predicate: Predicate): string | undefined {
    const counts = this.#calls.get(placeOf(entry, predicate))
    if (counts === undefined) return undefined
    const total = counts.values().reduce((sum, calls) => sum + calls, 0)
    for (const [sql, calls] of counts) if (sql !== '' && calls >= AGREEMENT * total) return sql
    return undefined
  }

  #note(entry: WorkloadEntry, predicate: Predicate): void {
    const place = placeOf(entry, predicate)
    const counts = this.#calls.get(place) ?? new Map<string, number>()
    this.#calls.set(place, counts)
    const texts = textsOf(entry, predicate.values)
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + entry.calls / texts.length)
  }
}

/** The values that an entry shows; an empty text is one that is not known. */
function textsOf({ samples }: WorkloadEntry, values: readonly Value[]): readonly string[] {
  const [value, ...more] = values
  if (value === undefined || more.length > 0 || value.kind === 'unknown') return ['']
  if (value.kind === 'literal') return [value.sql]
  if (samples.length < MIN_SAMPLES) return ['']
  return samples.map((sample) => {
    const one = sample[value.number - 1]
    const isPlain = typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean'
    return isPlain ? quoteLiteral(String(one)) : ''
  })
}

function placeOf({ fingerprint }: WorkloadEntry, { kind, key }: Predicate): string {
  return JSON.stringify([fingerprint, key.use.table.oid, key.use.alias, kind, key.sql])
}
