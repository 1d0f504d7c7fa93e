import type { AdvisorSettings } from './advisor-options.ts'
import type { AnalyzedEntry } from './candidates/constants.ts'
import { DEFAULT_MS } from './choose/timing.ts'
import { WRITE_ASSUMPTION } from './choose/write-cost.ts'
import type { Catalog } from './catalog/catalog.ts'

/** What could not be known, each with the way to know it. */
export function limitsOf(
  { server, tables }: Catalog,
  analyzed: readonly AnalyzedEntry[],
  { copiesTables, workloadSeconds }: AdvisorSettings,
): readonly string[] {
  const limits: string[] = []
  const blind = analyzed.filter(isNormalized).length
  if (blind > 0) {
    limits.push(
      `${blind} statements came without values: indexes for one value or one JSON key cannot be found for them; take the workload from a log, a file, or a running application`,
    )
  }
  if (!server.hasHypopg && !copiesTables) {
    limits.push(
      'nothing could be verified: install HypoPG (create extension hypopg), or allow copies of tables',
    )
  } else if (!copiesTables) {
    limits.push('GIN indexes are estimates: HypoPG has none; allow copies of tables to verify them')
  }
  if (workloadSeconds === undefined) {
    limits.push(
      'writes are only those of the workload: say how long it took to count those of the server',
    )
  }
  limits.push(`what an index costs a write is assumed: ${WRITE_ASSUMPTION}`)
  if (!analyzed.some(({ entry }) => entry.meanMs !== undefined)) {
    limits.push(`no statement was measured: a unit of cost is taken for ${DEFAULT_MS} ms`)
  }
  const asked = new Set(analyzed.flatMap(({ shape }) => shape.uses.map(({ table }) => table.oid)))
  const unknown = tables.filter(({ oid, columns, rows }) => {
    return asked.has(oid) && rows === 0 && ![...columns.values()].some((one) => one.hasStatistics)
  })
  for (const { quoted } of unknown)
    limits.push(`${quoted} has no statistics: run ANALYZE ${quoted}`)
  for (const { quoted, oid, isPartitioned } of tables) {
    if (!isPartitioned || !asked.has(oid)) continue
    limits.push(`${quoted} is partitioned: its indexes are not advised on`)
  }
  return limits
}

function isNormalized({ entry: { text, statement, samples } }: AnalyzedEntry): boolean {
  return text === statement && /\$\d/.test(text) && samples.length === 0
}
