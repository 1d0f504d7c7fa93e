import {
  parseStatement,
  type ParsedStatement,
  type SqlStatementKind,
  type TableName,
} from '../sql/index.ts'
import type { CachedQueriesSettings } from './cached-queries-options.ts'
import type { ActionFacts, FunctionFacts, ServerCatalog, TableEffects } from './server-catalog.ts'
import { callsOfAction } from './trigger-effects.ts'

/**
 * What a statement may have changed. `schema`: definitions, so that plans are out of date too.
 * `anything`: it cannot be told, for a reason that is.
 */
export type WritePlan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'tables'; readonly tables: readonly string[] }
  | { readonly kind: 'anything'; readonly reason: string }
  | { readonly kind: 'schema' }

const NOTHING: WritePlan = { kind: 'nothing' }

/** What may happen to rows of a table. */
type Change = 'change' | 'delete' | 'truncate'

const NO_EFFECT: ReadonlySet<SqlStatementKind> = new Set([
  'set',
  'show',
  'transaction',
  'cursor',
  'notify',
  'lock',
  'maintenance',
  'empty',
])

/** Finds out which tables a statement may have changed. */
export async function planWrite(
  text: string,
  catalog: ServerCatalog,
  { declared }: Pick<CachedQueriesSettings, 'declared'>,
): Promise<WritePlan> {
  const statement = await parseStatement(text)
  const { kind, functions, fields, operators, controls } = statement
  if (kind === 'ddl') return { kind: 'schema' }
  if (kind === 'do' || kind === 'prepared') {
    return { kind: 'anything', reason: `a statement of the kind ${kind} may write any table` }
  }
  if (kind === 'several' && !statement.isReadOnly) {
    // Not taken apart: any of them may be a definition.
    return { kind: 'schema' }
  }
  if (controls.some(({ action }) => action === 'commit prepared')) {
    return { kind: 'anything', reason: 'what a prepared transaction wrote is not known' }
  }
  if (NO_EFFECT.has(kind)) return NOTHING
  const [candidates, rowFunctions, hidden] = await Promise.all([
    catalog.functions(functions),
    catalog.rowFunctions(fields),
    catalog.hiddenWriter([], operators),
  ])
  if (hidden !== undefined) return mayWrite(hidden)
  if (kind === 'call' && candidates[0]?.length === 0) {
    return { kind: 'anything', reason: 'the procedure called may write any table' }
  }
  const called = writesOfFunctions([...candidates.flat(), ...rowFunctions], declared)
  if (called.kind === 'anything') return called
  const targets = await targetsOf(statement, catalog)
  const declaredTargets = await catalog.named(called.tables)
  const oids = [...targets, ...declaredTargets.map(({ oid }) => oid)]
  if (oids.length === 0) return NOTHING
  return closureOf(oids, changesOf(statement, declaredTargets.length > 0), catalog, declared)
}

type Called =
  | { readonly kind: 'tables'; readonly tables: readonly string[] }
  | { readonly kind: 'anything'; readonly reason: string }

/** A function of the server itself writes no table; one of the user's, if it is not said to be harmless, any. */
function writesOfFunctions(
  candidates: readonly FunctionFacts[],
  declared: CachedQueriesSettings['declared'],
): Called {
  const tables: string[] = []
  for (const { schema, name, volatility } of candidates) {
    if (schema === 'pg_catalog' || volatility !== 'volatile') continue
    const written = declared.functionWrites?.[`${schema}.${name}`]
    if (written === undefined) return mayWrite(`${schema}.${name}`)
    tables.push(...written)
  }
  return { kind: 'tables', tables }
}

function mayWrite(name: string): Called & WritePlan {
  return { kind: 'anything', reason: `function ${name} is volatile and may write any table` }
}

/** The tables written by name; behind a view, all that it reads. */
async function targetsOf(
  { writes }: ParsedStatement,
  catalog: ServerCatalog,
): Promise<readonly number[]> {
  const oids = new Set<number>()
  let names = writes
  for (let depth = 0; names.length > 0 && depth < 32; depth++) {
    const behind: TableName[] = []
    for (const relation of await catalog.relations(names)) {
      // What is not there any more, or was never there, has no entries.
      if (relation === undefined) continue
      oids.add(relation.oid)
      if (relation.definition === undefined) continue
      behind.push(...(await parseStatement(relation.definition)).reads)
    }
    names = behind
  }
  return [...oids]
}

function changesOf(
  { kind, writes, ctes, truncatesCascading }: ParsedStatement,
  hasDeclared: boolean,
): readonly Change[] {
  // A CTE may do something else to the table than the statement does.
  if (hasDeclared || writes.length !== 1 || ctes.length > 0) {
    return truncatesCascading ? ['change', 'delete', 'truncate'] : ['change', 'delete']
  }
  if (kind === 'insert' || kind === 'update' || kind === 'copy') return ['change']
  if (kind === 'truncate') return truncatesCascading ? ['truncate'] : []
  return kind === 'delete' ? ['delete'] : ['change', 'delete']
}

/**
 * All tables that change along: kin by inheritance and partitioning, in both directions; tables
 * whose foreign keys pass a change on, and theirs. A trigger, rule, or function of a
 * default or constraint that is neither declared nor harmless makes it anything.
 */
async function closureOf(
  oids: readonly number[],
  changes: readonly Change[],
  catalog: ServerCatalog,
  declared: CachedQueriesSettings['declared'],
): Promise<WritePlan> {
  const declaredTriggers = await declaredTriggersOf(catalog, declared)
  const tables = new Set<string>()
  const seen = new Map<number, Set<Change>>()
  const known = new Map<number, TableEffects>()
  let todo: (readonly [number, readonly Change[]])[] = oids.map((oid) => [oid, changes])
  while (todo.length > 0) {
    const unknown = [...new Set(todo.map(([oid]) => oid))].filter((oid) => !known.has(oid))
    if (unknown.length > 0) {
      for (const effects of await catalog.effects(unknown)) known.set(effects.oid, effects)
    }
    const next: typeof todo = []
    for (const [oid, happening] of todo) {
      const effects = known.get(oid)
      if (effects === undefined) continue
      const had = seen.get(oid)
      const isNew = had === undefined || happening.some((change) => !had.has(change))
      if (!isNew) continue
      seen.set(oid, new Set([...(had ?? []), ...happening]))
      tables.add(effects.name)
      const written = declaredTriggers.get(oid)
      if (written === undefined && !(await areHarmless(effects.actions, catalog))) {
        const reason = `triggers, rules or defaults of ${effects.name} may write any table: declare those that they write`
        return { kind: 'anything', reason }
      }
      for (const target of written ?? []) next.push([target, ['change', 'delete']])
      for (const kin of effects.kin) next.push([kin, happening])
      for (const reference of effects.references) {
        const passed = happening.flatMap((change) => passedOn(change, reference))
        if (passed.length > 0) next.push([reference.oid, passed])
      }
    }
    todo = next
  }
  return { kind: 'tables', tables: [...tables] }
}

async function areHarmless(
  actions: readonly ActionFacts[],
  catalog: ServerCatalog,
): Promise<boolean> {
  if (actions.length === 0) return true
  const functions: string[] = []
  const operators: string[] = []
  for (const action of actions) {
    const calls = callsOfAction(action)
    if (calls === undefined) return false
    functions.push(...calls.functions)
    operators.push(...calls.operators)
  }
  return (await catalog.hiddenWriter(functions, operators)) === undefined
}

/** What a foreign key does to the rows that refer: a nothing, r restrict, c cascade, n set null, d set default. */
function passedOn(
  change: Change,
  { onDelete, onUpdate }: TableEffects['references'][number],
): readonly Change[] {
  if (change === 'truncate') return ['truncate']
  if (change === 'change') return /[cnd]/.test(onUpdate) ? ['change'] : []
  if (onDelete === 'c') return ['delete']
  return /[nd]/.test(onDelete) ? ['change'] : []
}

/** Names of the tables and their kin, for a change that is known to have happened to them. */
export async function closureOfTables(
  oids: readonly number[],
  catalog: ServerCatalog,
): Promise<readonly string[]> {
  const tables = new Map<number, string>()
  for (let todo = [...oids]; todo.length > 0;) {
    const found = await catalog.effects(todo)
    for (const { oid, name } of found) tables.set(oid, name)
    todo = found.flatMap(({ kin }) => kin).filter((oid) => !tables.has(oid))
  }
  return [...tables.values()]
}

async function declaredTriggersOf(
  catalog: ServerCatalog,
  { triggerWrites = {} }: CachedQueriesSettings['declared'],
): Promise<Map<number, readonly number[]>> {
  const found = new Map<number, readonly number[]>()
  for (const [table, written] of Object.entries(triggerWrites)) {
    const [[target], targets] = await Promise.all([catalog.named([table]), catalog.named(written)])
    if (target !== undefined)
      found.set(
        target.oid,
        targets.map(({ oid }) => oid),
      )
  }
  return found
}
