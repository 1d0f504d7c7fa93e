import { hash } from 'node:crypto'
import { parseStatement, type ParsedStatement, type TableName } from '../sql/index.ts'
import type { CachedQueriesSettings } from './cached-queries-options.ts'
import { judgeCandidate, judgeFunction } from './function-rules.ts'
import type { RelationFacts, ServerCatalog } from './server-catalog.ts'

/** How a statement is cached, or why it is not. */
export type ReadPlan =
  | {
      readonly kind: 'cacheable'
      /** What every key of the statement begins with. */
      readonly keyPrefix: string
      /** Tables that the result depends on, as `schema.table`. */
      readonly tables: readonly string[]
    }
  | { readonly kind: 'refused'; readonly reason: string }

/** Views within views are followed so far. */
const MAX_DEPTH = 32

/** Finds out what the result of a statement depends on. */
export async function planRead(
  text: string,
  catalog: ServerCatalog,
  { declared }: Pick<CachedQueriesSettings, 'declared'>,
): Promise<ReadPlan> {
  const statement = await parseStatement(text)
  const tables = new Set<string>()
  let level: readonly ParsedStatement[] = [statement]
  const seen = new Set<number>()
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return refused('its views are nested too deeply')
    const views: string[] = []
    for (const one of level) {
      const reason = refusalOf(one) ?? (await refusalOfCalls(one, catalog, declared, tables))
      if (reason !== undefined) return refused(reason)
      const relations = await catalog.relations(one.reads)
      for (const [index, relation] of relations.entries()) {
        const unfit = refusalOfRelation(relation, one.reads[index])
        if (unfit !== undefined) return refused(unfit)
        if (relation === undefined || seen.has(relation.oid)) continue
        seen.add(relation.oid)
        if (relation.definition === undefined) tables.add(`${relation.schema}.${relation.name}`)
        else views.push(relation.definition)
      }
    }
    level = await Promise.all(views.map(parseStatement))
  }
  // The fingerprint is for people who look into the cache: it does not tell `limit 1` from `limit 2`.
  const digest = hash('sha256', text, 'base64url').slice(0, 22)
  return {
    kind: 'cacheable',
    keyPrefix: `${statement.fingerprint}:${digest}:`,
    tables: [...tables],
  }
}

function refusalOf({
  kind,
  isReadOnly,
  locksRows,
  hasMovingConstant,
}: ParsedStatement): string | undefined {
  if (locksRows) return 'it locks rows'
  if (kind !== 'select') return `it is no SELECT but of the kind ${kind}`
  if (!isReadOnly) return 'it writes'
  if (hasMovingConstant) return 'a constant such as now or today moves with time'
  return undefined
}

async function refusalOfCalls(
  { functions, fields, operators, casts }: ParsedStatement,
  catalog: ServerCatalog,
  declared: CachedQueriesSettings['declared'],
  tables: Set<string>,
): Promise<string | undefined> {
  const [candidates, rowFunctions] = await Promise.all([
    catalog.functions(functions),
    catalog.rowFunctions(fields),
  ])
  const declaredTables: string[] = []
  const verdicts = [
    ...functions.map((call, index) => judgeFunction(call, candidates[index] ?? [], declared)),
    ...rowFunctions.map((candidate) => judgeCandidate(candidate, declared)),
  ]
  for (const verdict of verdicts) {
    if (verdict.kind === 'refused') return verdict.reason
    declaredTables.push(...verdict.tables)
  }
  for (const { schema, name } of await catalog.named(declaredTables))
    tables.add(`${schema}.${name}`)
  const [[operator], [type]] = await Promise.all([
    catalog.unsteadyOperators(operators),
    catalog.unsteadyCasts(casts.map(({ name }) => name)),
  ])
  if (operator !== undefined) return `operator ${operator} has a function that is not immutable`
  return type === undefined ? undefined : `the cast to ${type} has a function that is not immutable`
}

function refusalOfRelation(
  relation: RelationFacts | undefined,
  name: TableName | undefined,
): string | undefined {
  if (relation === undefined) return `the server knows no table ${name?.name}`
  const full = `${relation.schema}.${relation.name}`
  if (relation.isTemporary) return `table ${relation.name} is temporary`
  if (/^(?:pg_catalog|information_schema|pg_toast)$/.test(relation.schema)) {
    return `${full} belongs to the system`
  }
  if (relation.hasRowSecurity) return `rows of ${full} depend on who asks`
  if (!/^[rpvm]$/.test(relation.relkind)) {
    return `changes of ${full} cannot be seen: it is no table of this server`
  }
  return undefined
}

function refused(reason: string): ReadPlan {
  return { kind: 'refused', reason }
}
