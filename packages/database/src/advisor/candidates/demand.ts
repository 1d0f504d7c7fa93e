import type { AnalyzedEntry } from './constants.ts'
import type { Demand } from './key-lists.ts'

/** How many statements compare each key for equality, so that keys many ask for come first and are shared. */
export function demandOf(analyzed: readonly AnalyzedEntry[]): Demand {
  const counts = new Map<string, number>()
  for (const { shape } of analyzed) {
    for (const { table, predicates } of shape.uses) {
      for (const { kind, key } of predicates) {
        if (kind !== 'equal' && kind !== 'join') continue
        const name = JSON.stringify([table.oid, key.sql])
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
    }
  }
  return ({ use, sql }) => counts.get(JSON.stringify([use.table.oid, sql])) ?? 0
}
