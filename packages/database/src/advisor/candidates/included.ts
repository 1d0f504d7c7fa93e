import type { ColumnFacts } from '../catalog/catalog.ts'

/** Beyond these a covering index is nearly a second table. */
const MAX_INCLUDED = 4
const MAX_INCLUDED_WIDTH = 80

/** Whether so many and so wide columns may be included in an index. */
export function isCoverable(columns: readonly ColumnFacts[]): boolean {
  const width = columns.reduce((sum, column) => sum + column.width, 0)
  return columns.length <= MAX_INCLUDED && width <= MAX_INCLUDED_WIDTH
}
