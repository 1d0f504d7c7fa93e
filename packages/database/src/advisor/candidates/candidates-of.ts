import type { Predicate, TableUse } from '../analysis/statement-shape.ts'
import type { ColumnFacts, ServerFacts } from '../catalog/catalog.ts'
import type { AnalyzedEntry, Constants } from './constants.ts'
import { signatureOf, type IndexForm } from './index-form.ts'
import { isCoverable } from './included.ts'
import { invertedFormsOf } from './inverted.ts'
import { keyListsOf, plainKey, type Demand, type KeyList } from './key-lists.ts'
import { partialCondition, withoutNulls } from './partial-conditions.ts'

/** Indexes that make sense together only, mostly one; the arms of an OR need one each. */
export type CandidateGroup = readonly IndexForm[]

const MIN_ROWS = 1_000

/** All indexes that could serve a statement. Whether one does is for the planner to say. */
export function candidatesOf(
  { entry, shape }: AnalyzedEntry,
  constants: Constants,
  demand: Demand,
  server: ServerFacts,
): readonly CandidateGroup[] {
  const groups = new Map<string, CandidateGroup>()
  const add = (...group: readonly IndexForm[]): void => {
    if (group.length > 0) groups.set(group.map(signatureOf).toSorted().join('; '), group)
  }
  for (const use of shape.uses) {
    const { table, predicates, ors } = use
    if (table.rows < MIN_ROWS || table.isPartitioned) continue
    for (const list of keyListsOf(predicates, use, demand)) {
      for (const form of formsOf(use, list)) {
        add(form)
        const known = withoutNulls(form, predicates)
        if (known !== undefined) add(known)
      }
    }
    for (const predicate of predicates) {
      for (const form of invertedFormsOf(predicate, server)) add(form)
      const condition = partialCondition(predicate, entry, constants)
      if (condition === undefined) continue
      const rest = predicates.filter((one) => one !== predicate)
      const lists = keyListsOf(rest, use, demand)
      const own = { keys: [plainKey(predicate.key)], isWhole: false }
      for (const list of lists.length > 0 ? lists : [own]) {
        for (const form of formsOf(use, list)) {
          const { columns: predicateColumns, fraction } = condition
          add({ ...form, predicate: condition.sql, predicateColumns, fraction })
        }
      }
    }
    for (const arms of ors) add(...armForms(use, arms, demand, server))
  }
  return [...groups.values()]
}

function formsOf(use: TableUse, { keys, isWhole }: KeyList): readonly IndexForm[] {
  const plain: IndexForm = {
    table: use.table,
    method: 'btree',
    keys,
    include: [],
    predicate: undefined,
    fraction: 1,
    predicateColumns: [],
  }
  const include = isWhole ? includedColumns(use, plain) : []
  return include.length === 0 ? [plain] : [plain, { ...plain, include }]
}

function includedColumns(use: TableUse, { keys }: IndexForm): readonly ColumnFacts[] {
  // Until an expression's index is there, nobody knows how many rows it finds: covering seems to save much.
  if (use.isStar || keys.some(({ isExpression }) => isExpression)) return []
  const inKeys = new Set(keys.filter((key) => !key.isExpression).map(({ sql }) => sql))
  const rest = [...use.columns].flatMap((name) => {
    const column = use.table.columns.get(name)
    return column === undefined || inKeys.has(column.quoted) ? [] : [column]
  })
  return isCoverable(rest) ? rest : []
}

/** One index for each arm, or none where an arm has no good one. */
function armForms(
  use: TableUse,
  arms: readonly (readonly Predicate[])[],
  demand: Demand,
  server: ServerFacts,
): readonly IndexForm[] {
  const none = { sort: [], group: [], hasLimit: false }
  const forms = arms.map((arm) => {
    const [list] = keyListsOf([...use.predicates, ...arm], none, demand)
    const [alone] = keyListsOf(arm, none, demand)
    const best = alone ?? list
    const inverted = arm.flatMap((predicate) => invertedFormsOf(predicate, server))
    return best === undefined ? inverted[0] : formsOf(use, { ...best, isWhole: false })[0]
  })
  const found = forms.filter((form) => form !== undefined)
  if (found.length < arms.length) return []
  return [...new Map(found.map((form) => [signatureOf(form), form])).values()]
}
