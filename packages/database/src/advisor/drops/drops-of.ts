import { redactLiterals } from '../../postgres/index.ts'
import type { Confidence, DropIndexAdvice } from '../advice.ts'
import type { AdvisorSettings } from '../advisor-options.ts'
import type { Catalog, IndexFacts, TableFacts } from '../catalog/catalog.ts'

/** Indexes that only cost: invalid ones, duplicates, prefixes of others, and what nobody has used. */
export function dropsOf(
  { tables, server }: Catalog,
  { minUnusedSeconds }: Pick<AdvisorSettings, 'minUnusedSeconds'>,
): readonly DropIndexAdvice[] {
  const isOld = server.statisticsSeconds >= minUnusedSeconds
  const drops: DropIndexAdvice[] = []
  for (const table of tables) {
    const dropped = new Set<IndexFacts>()
    const drop = (
      index: IndexFacts,
      reason: DropIndexAdvice['reason'],
      confidence: Confidence,
      instead?: IndexFacts,
    ): void => {
      dropped.add(index)
      drops.push(adviceOf(table, index, reason, confidence, instead))
    }
    for (const index of table.indexes) {
      if (!index.isValid && !index.isInProgress && !index.isConstraint)
        drop(index, 'invalid', 'high')
    }
    for (const index of table.indexes) {
      if (dropped.has(index) || index.isConstraint || index.isUnique || !index.isValid) continue
      const others = table.indexes.filter(
        (one) => one !== index && one.isValid && !dropped.has(one),
      )
      const same = others.find((one) => isSame(index, one))
      const longer = others.find((one) => isPrefix(index, one))
      if (same !== undefined) drop(index, 'duplicate', 'high', same)
      else if (longer !== undefined) drop(index, 'prefix', 'medium', longer)
    }
    for (const index of table.indexes) {
      if (dropped.has(index) || index.isConstraint || index.isUnique || !index.isValid) continue
      if (isOld && index.scans === 0) drop(index, 'unused', 'medium')
    }
  }
  return drops.toSorted((a, b) => b.sizeBytes - a.sizeBytes)
}

/** A unique index does the work of a plain one; of two plain ones either goes. */
function isSame(index: IndexFacts, other: IndexFacts): boolean {
  return (
    isAlike(index, other) &&
    index.keys.length === other.keys.length &&
    index.keyCount === other.keyCount
  )
}

/** Of B-trees only: a longer one finds by its first keys as well, if somewhat larger. */
function isPrefix(index: IndexFacts, other: IndexFacts): boolean {
  const hasIncluded = index.keys.length > index.keyCount
  return (
    index.method === 'btree' &&
    !hasIncluded &&
    index.keyCount < other.keyCount &&
    isAlike(index, other)
  )
}

function isAlike(index: IndexFacts, other: IndexFacts): boolean {
  const shared = index.keys.length
  return (
    index.method === other.method &&
    index.predicate === other.predicate &&
    index.keys.every((key, at) => key === other.keys[at]) &&
    index.classes.every((one, at) => one === other.classes[at]) &&
    index.options.slice(0, shared).every((one, at) => one === other.options[at])
  )
}

function adviceOf(
  table: TableFacts,
  { name, quoted, definition, sizeBytes }: IndexFacts,
  reason: DropIndexAdvice['reason'],
  confidence: Confidence,
  instead: IndexFacts | undefined,
): DropIndexAdvice {
  const undo = definition.replace(
    /^CREATE (?<unique>UNIQUE )?INDEX /,
    'CREATE $<unique>INDEX CONCURRENTLY ',
  )
  return {
    kind: 'drop-index',
    reason,
    name,
    schema: table.schema,
    table: table.name,
    definition: `DROP INDEX CONCURRENTLY ${quoted}`,
    undo: redactLiterals(undo),
    toUndoSql: () => undo,
    sizeBytes,
    instead: instead?.name,
    confidence,
  }
}
