import { rowsText, subjectOf, type PlanRule } from './finding.ts'
import type { PlanNode } from './plan-tree.ts'

/** Rows below which reading a table to its end is as good as any index. */
const SMALL_TABLE_ROWS = 10_000
/** A filter that keeps more than this share is not selective: an index would not pay. */
const SELECTIVE_SHARE = 0.05
/** Rows read for nothing before it is worth a word. */
const WASTED_ROWS = 1_000
/** Rows read for nothing, for each row kept, from which the severity is high. */
const HIGH_WASTE = 100
const LOSSY_SHARE = 0.1
const FETCHED_SHARE = 0.1
const VISIBLE_SHARE = 0.5
const MANY_PAGES = 100

/** A whole table read for a few of its rows. */
export const sequentialScan: PlanRule = (node, { factsOf }) => {
  const filter = node.conditions['Filter']
  if (!node.type.endsWith('Seq Scan') || filter === undefined) return undefined
  const read = rowsRead(node, factsOf(node.relation)?.rows)
  if (read === undefined || read.all < SMALL_TABLE_ROWS) return undefined
  const share = read.kept / read.all
  if (share > SELECTIVE_SHARE) return undefined
  return {
    code: 'sequential-scan',
    severity: share * HIGH_WASTE <= 1 ? 'high' : 'medium',
    nodeId: node.id,
    message: `all ${rowsText(read.all)} of ${subjectOf(node)} are read to keep ${rowsText(read.kept)}`,
    remedy: `an index on ${subjectOf(node)} that serves ${filter}`,
  }
}

interface RowsRead {
  readonly all: number
  readonly kept: number
}

/** By what happened, else by what is expected. Parallel workers share one table. */
function rowsRead(
  { actual, estimated }: PlanNode,
  tableRows: number | undefined,
): RowsRead | undefined {
  if (actual !== undefined) {
    if (actual.loops === 0) return undefined
    const kept = actual.rows * actual.loops
    return { all: kept + actual.rowsRemovedByFilter * actual.loops, kept }
  }
  return tableRows === undefined || tableRows < 0
    ? undefined
    : { all: tableRows, kept: estimated.rows }
}

/** An index that finds more rows than the filter behind it keeps. */
export const rowsRemovedByFilter: PlanRule = (node) => {
  const { actual } = node
  const filter = node.conditions['Filter']
  if (actual === undefined || filter === undefined || node.type.endsWith('Seq Scan'))
    return undefined
  const removed = actual.rowsRemovedByFilter * actual.loops
  const kept = actual.rows * actual.loops
  if (removed < WASTED_ROWS || kept > (removed + kept) * SELECTIVE_SHARE) return undefined
  return {
    code: 'rows-removed-by-filter',
    severity: kept * HIGH_WASTE <= removed ? 'high' : 'medium',
    nodeId: node.id,
    message: `${node.type} on ${subjectOf(node)} finds ${rowsText(removed + kept)}, of which the filter keeps ${rowsText(kept)}`,
    remedy:
      node.index === undefined
        ? `let ${filter} hold before this step, where an index can serve it`
        : `an index that serves ${filter} too, or ${node.index} as a partial index`,
  }
}

/** An index that only says where rows may be, and is wrong most of the time. */
export const indexRecheck: PlanRule = (node) => {
  const { actual } = node
  if (actual === undefined || actual.lossyHeapBlocks > 0) return undefined
  const removed = actual.rowsRemovedByRecheck * actual.loops
  const kept = actual.rows * actual.loops
  if (removed < WASTED_ROWS || removed < kept) return undefined
  return {
    code: 'index-recheck',
    severity: 'medium',
    nodeId: node.id,
    message: `${rowsText(removed)} that the index gave for ${subjectOf(node)} are thrown away on a second look`,
    remedy:
      'an index that is exact for this condition: a B-tree, another operator class, longer signatures, or fewer short search terms',
  }
}

/** A bitmap that had no memory for rows and kept whole pages. */
export const lossyBitmap: PlanRule = (node) => {
  const { actual } = node
  if (actual === undefined) return undefined
  const { exactHeapBlocks, lossyHeapBlocks } = actual
  if (lossyHeapBlocks === 0) return undefined
  if (lossyHeapBlocks < (exactHeapBlocks + lossyHeapBlocks) * LOSSY_SHARE) return undefined
  const removed = actual.rowsRemovedByRecheck * actual.loops
  return {
    code: 'lossy-bitmap',
    severity: removed >= actual.rows * actual.loops ? 'high' : 'medium',
    nodeId: node.id,
    message: `the bitmap for ${subjectOf(node)} did not fit into work_mem: ${lossyHeapBlocks} pages were searched row by row, ${rowsText(removed)} for nothing`,
    remedy: 'more work_mem for this statement, or an index that finds fewer rows',
  }
}

/** An index-only scan that has to look into the table after all. */
export const visibilityMap: PlanRule = (node, { factsOf }) => {
  if (node.type !== 'Index Only Scan') return undefined
  const { actual } = node
  const facts = factsOf(node.relation)
  const found = (message: string) => ({
    code: 'visibility-map' as const,
    severity: 'medium' as const,
    nodeId: node.id,
    message,
    remedy: `VACUUM ${subjectOf(node)}, and let autovacuum come more often (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor)`,
  })
  if (actual !== undefined) {
    // The server gives the sum over all loops.
    const { heapFetches } = actual
    const rows = actual.rows * actual.loops
    if (heapFetches < WASTED_ROWS || heapFetches < rows * FETCHED_SHARE) return undefined
    return found(
      `the index-only scan of ${subjectOf(node)} had to look up ${rowsText(heapFetches)} in the table`,
    )
  }
  if (facts === undefined || facts.pages < MANY_PAGES) return undefined
  if (facts.visiblePages >= facts.pages * VISIBLE_SHARE) return undefined
  return found(
    `only ${facts.visiblePages} of ${facts.pages} pages of ${subjectOf(node)} are known to be visible to all, and the index-only scan has to look up the others`,
  )
}
