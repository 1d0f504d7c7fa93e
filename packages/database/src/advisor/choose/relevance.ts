import type { StatementShape } from '../analysis/statement-shape.ts'
import type { IndexForm } from '../candidates/index-form.ts'

/**
 * Whether a plan of the statement could use the index at all: the statement asks by its first key, or by
 * the condition that it is limited to.
 */
export function isRelevant(
  { table, keys, predicateColumns }: IndexForm,
  { uses }: StatementShape,
): boolean {
  const wanted = new Set(predicateColumns.map(({ quoted }) => quoted)).add(keys[0]?.sql ?? '')
  return uses.some((use) => {
    if (use.table.oid !== table.oid) return false
    const asked = [...use.predicates, ...use.ors.flat(2), ...use.sort].map(({ key }) => key)
    return [...asked, ...use.group].some(({ sql }) => wanted.has(sql))
  })
}
