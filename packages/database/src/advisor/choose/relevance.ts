import type { StatementShape } from '../analysis/statement-shape.ts'
import type { IndexForm } from '../candidates/index-form.ts'

/** Whether a plan of the statement could use the index at all: its first key is something the statement asks by. */
export function isRelevant({ table, keys }: IndexForm, { uses }: StatementShape): boolean {
  const first = keys[0]?.sql
  return uses.some((use) => {
    if (use.table.oid !== table.oid) return false
    const asked = [...use.predicates, ...use.ors.flat(2)].map(({ key }) => key.sql)
    return [
      ...asked,
      ...use.sort.map(({ key }) => key.sql),
      ...use.group.map(({ sql }) => sql),
    ].includes(first ?? '')
  })
}
