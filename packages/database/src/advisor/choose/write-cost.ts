import type { AnalyzedEntry } from '../candidates/constants.ts'
import { columnsOf, type IndexForm } from '../candidates/index-form.ts'
import type { TableFacts } from '../catalog/catalog.ts'

/** An assumption: milliseconds that an entry of an index costs a write, with its part of the log. */
const ENTRY_MS = { btree: 0.01, gin: 0.06, brin: 0.0005 } as const
/** An assumption: how many times dearer a text with all its trigrams is. */
const TRIGRAM_FACTOR = 4

/** What {@link writeCostMs} assumes, in words. */
export const WRITE_ASSUMPTION: string = `${ENTRY_MS.btree} ms an entry of a B-tree, ${ENTRY_MS.gin} ms of GIN, ${TRIGRAM_FACTOR} times that of trigrams`

/** What is written to a table while the workload runs. */
export interface TableWrites {
  readonly inserts: number
  readonly deletes: number
  readonly updates: readonly {
    /** `undefined` where nobody knows. */
    readonly columns: ReadonlySet<string> | undefined
    readonly calls: number
  }[]
  /** Part of the updates, from 0 to 1, that touch no index today. */
  readonly hotShare: number
  /** Where the counts come from. */
  readonly basis: 'workload' | 'statistics'
}

/**
 * The writes to a table: those of the server's statistics, cut to the time that the workload took, where
 * that is known; else those that the workload has itself.
 */
export function writesTo(
  table: TableFacts,
  analyzed: readonly AnalyzedEntry[],
  {
    workloadSeconds,
    statisticsSeconds,
  }: {
    readonly workloadSeconds: number | undefined
    readonly statisticsSeconds: number
  },
): TableWrites {
  let inserts = 0
  let deletes = 0
  const updates: { columns: ReadonlySet<string> | undefined; calls: number }[] = []
  for (const { entry, shape } of analyzed) {
    for (const write of shape.writes) {
      if (write.table.oid !== table.oid) continue
      if (write.kind === 'insert') inserts += entry.calls
      if (write.kind === 'delete') deletes += entry.calls
      const columns = new Set(write.columns)
      if (write.kind === 'update') updates.push({ columns, calls: entry.calls })
    }
  }
  const hotShare = table.updates === 0 ? 1 : table.hotUpdates / table.updates
  if (workloadSeconds === undefined) {
    return { inserts, deletes, updates, hotShare, basis: 'workload' }
  }
  const scale = Math.min(1, workloadSeconds / Math.max(1, statisticsSeconds))
  const known = updates.reduce((sum, { calls }) => sum + calls, 0)
  const unknown = Math.max(0, table.updates * scale - known)
  return {
    inserts: Math.max(inserts, table.inserts * scale),
    deletes: Math.max(deletes, table.deletes * scale),
    updates: unknown > 0 ? [...updates, { columns: undefined, calls: unknown }] : updates,
    hotShare,
    basis: 'statistics',
  }
}

/** What an index costs the writes of the workload, updates that are not HOT any more included. */
export function writeCostMs(form: IndexForm, writes: TableWrites): number {
  const isTrigram = form.keys.some(({ operatorClass }) => operatorClass === 'gin_trgm_ops')
  const entryMs = ENTRY_MS[form.method] * (isTrigram ? TRIGRAM_FACTOR : 1)
  const columns = columnsOf(form)
  let cost = writes.inserts * entryMs
  for (const update of writes.updates) {
    const isTouched =
      update.columns === undefined || [...update.columns].some((name) => columns.has(name))
    // An update that is not HOT writes to all indexes; one that was, from now on, to all of them too.
    const own = isTouched && form.method !== 'brin' ? 1 : 1 - writes.hotShare
    const lost =
      isTouched && form.method !== 'brin' ? writes.hotShare * form.table.indexes.length : 0
    cost += update.calls * (own * entryMs + lost * ENTRY_MS.btree)
  }
  return cost
}
