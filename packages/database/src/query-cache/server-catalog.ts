import type { PostgresManager } from '../postgres/index.ts'
import type { FunctionCall, TableName } from '../sql/index.ts'

/** A relation that a name means. */
export interface RelationFacts {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** As pg_class has it: r table, p partitioned, v view, m materialized view, f foreign … */
  readonly relkind: string
  readonly isTemporary: boolean
  readonly hasRowSecurity: boolean
  /** The query of a view. */
  readonly definition: string | undefined
}

export interface FunctionFacts {
  readonly schema: string
  readonly name: string
  readonly volatility: 'immutable' | 'stable' | 'volatile'
  readonly kind: 'function' | 'procedure' | 'aggregate' | 'window'
}

/** A trigger or rule, or the function of a default or constraint, that acts when a table is written. */
export interface ActionFacts {
  readonly language: string
  readonly function: string
  readonly source: string
}

/** What writing a table brings with it. */
export interface TableEffects {
  readonly oid: number
  /** `schema.table` in readable form, and the tables above and below it by inheritance. */
  readonly name: string
  readonly kin: readonly number[]
  /** Tables that refer to it, and what happens there when a row here is deleted or changed. */
  readonly references: readonly {
    readonly oid: number
    readonly onDelete: string
    readonly onUpdate: string
  }[]
  readonly actions: readonly ActionFacts[]
}

/** Session facts that results depend on. */
const SCOPE = `
  select concat_ws('/', (select system_identifier from pg_control_system()), current_database(), current_user,
    array_to_string(current_schemas(true), ','), current_setting('TimeZone'), current_setting('DateStyle'),
    current_setting('IntervalStyle'), current_setting('default_text_search_config'), current_setting('lc_monetary'),
    current_setting('bytea_output'), current_setting('extra_float_digits')) as scope`

const RELATIONS = `
  select i.ord::int, c.oid::int8::text as oid, n.nspname as schema, c.relname as name, c.relkind::text,
    c.relpersistence = 't' as temporary, c.relrowsecurity as secured,
    case when c.relkind = 'v' then pg_get_viewdef(c.oid) end as definition
  from unnest($1::text[], $2::text[]) with ordinality i(schema, name, ord)
  join pg_class c on c.oid = to_regclass(coalesce(quote_ident(i.schema) || '.', '') || quote_ident(i.name))
  join pg_namespace n on n.oid = c.relnamespace`

const FUNCTIONS = `
  select i.ord::int, n.nspname as schema, p.proname as name, p.prokind::text as kind,
    coalesce((select max(part.provolatile::text) from pg_aggregate a
      join pg_proc part on part.oid in (a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggmfinalfn)
      where a.aggfnoid = p.oid), p.provolatile::text) as volatility
  from unnest($1::text[], $2::text[], $3::int[]) with ordinality i(schema, name, args, ord)
  join pg_proc p on p.proname = i.name
  join pg_namespace n on n.oid = p.pronamespace
  where (n.nspname = i.schema or i.schema is null and n.nspname = any (current_schemas(true)))
    and (i.args between p.pronargs - p.pronargdefaults and p.pronargs or p.provariadic <> 0)`

const OPERATORS = `
  select distinct o.oprname as name
  from pg_operator o
  join pg_proc p on p.oid = o.oprcode
  join pg_namespace n on n.oid = o.oprnamespace
  where o.oprname = any ($1) and n.nspname <> 'pg_catalog' and p.provolatile <> 'i'`

const CASTS = `
  select distinct t.typname as name
  from pg_cast c
  join pg_type t on t.oid = c.casttarget
  join pg_proc p on p.oid = c.castfunc
  join pg_namespace n on n.oid = p.pronamespace
  where n.nspname <> 'pg_catalog' and p.provolatile <> 'i' and (c.castcontext = 'i' or t.typname = any ($1)
    or exists (select from pg_type d where d.typbasetype = t.oid and d.typname = any ($1)))`

/** By any of the user's schemas, whatever the search path; C is for extensions, which compute. */
const HIDDEN_WRITERS = `
  select p.oid::regproc::text as name
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang
  where n.nspname <> 'pg_catalog' and p.provolatile = 'v' and (
    p.proname = any ($1) and l.lanname not in ('internal', 'c')
    or exists (select from pg_operator o where o.oprcode = p.oid and o.oprname = any ($2))
    or exists (select from pg_cast c where c.castfunc = p.oid))
  limit 1`

/** Functions that `row.name` calls. */
const ROW_FUNCTIONS = `
  select n.nspname as schema, p.proname as name, p.provolatile::text as volatility, p.prokind::text as kind
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_type t on t.oid = p.proargtypes[0]
  where p.proname = any ($1) and n.nspname <> 'pg_catalog' and t.typtype in ('c', 'p')
    and p.pronargs - p.pronargdefaults <= 1`

/** Tables that have one of our triggers. */
const TELLING = `
  select distinct tgrelid::int8::text as oid from pg_trigger where tgname in ('dharma_change', 'dharma_truncate')`

const NAMED = `
  select i.name as given, c.oid::int8::text as oid, n.nspname as schema, c.relname as name
  from unnest($1::text[]) i(name)
  left join pg_class c on c.oid = to_regclass(i.name)
  left join pg_namespace n on n.oid = c.relnamespace`

const EFFECTS = `
  select c.oid::int8::text as oid, n.nspname as schema, c.relname as name,
    (select coalesce(json_agg(kin), '[]') from (
      select inhrelid::int8 as kin from pg_inherits where inhparent = c.oid
      union select inhparent::int8 from pg_inherits where inhrelid = c.oid) k) as kin,
    (select coalesce(json_agg(json_build_array(conrelid::int8, confdeltype, confupdtype)), '[]')
      from pg_constraint where contype = 'f' and confrelid = c.oid) as refs,
    (select coalesce(json_agg(json_build_array(l.lanname, p.proname, p.prosrc)), '[]')
      from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_language l on l.oid = p.prolang
      where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D'
        and t.tgname not in ('dharma_change', 'dharma_truncate')) as triggers,
    (select coalesce(json_agg(json_build_array(l.lanname, p.proname, p.prosrc)), '[]')
      from pg_proc p join pg_language l on l.oid = p.prolang
      where p.provolatile = 'v' and p.oid in (
        select d.refobjid from pg_depend d
        where d.refclassid = 'pg_proc'::regclass and case d.classid
          when 'pg_attrdef'::regclass then d.objid in (select oid from pg_attrdef where adrelid = c.oid)
          when 'pg_constraint'::regclass then d.objid in (
            select k.oid from pg_constraint k where k.conrelid = c.oid
              or k.contypid in (select atttypid from pg_attribute where attrelid = c.oid))
          when 'pg_type'::regclass then d.objid in (select atttypid from pg_attribute where attrelid = c.oid)
        end)) as columns,
    (select count(*)::int from pg_rewrite r where r.ev_class = c.oid and r.ev_type <> '1') as rules
  from unnest($1::int8[]) i(oid)
  join pg_class c on c.oid = i.oid::oid
  join pg_namespace n on n.oid = c.relnamespace`

/** The questions themselves, which write nothing: watching them would ask them again. */
export const CATALOG_TEXTS: ReadonlySet<string> = new Set([
  SCOPE,
  RELATIONS,
  FUNCTIONS,
  OPERATORS,
  CASTS,
  HIDDEN_WRITERS,
  ROW_FUNCTIONS,
  TELLING,
  NAMED,
  EFFECTS,
])

const VOLATILITIES: Readonly<Record<string, FunctionFacts['volatility']>> = {
  i: 'immutable',
  s: 'stable',
  v: 'volatile',
}
const FUNCTION_KINDS: Readonly<Record<string, FunctionFacts['kind']>> = {
  f: 'function',
  p: 'procedure',
  a: 'aggregate',
  w: 'window',
}

/** What the server's catalogue says, asked for each time. */
export class ServerCatalog {
  readonly #manager: PostgresManager

  constructor(manager: PostgresManager) {
    this.#manager = manager
  }

  async scope(): Promise<string> {
    const { rows } = await this.#manager.query<{ scope: string }>(SCOPE)
    return rows[0]?.scope ?? ''
  }

  /** What each name means now; `undefined` where it means nothing. */
  async relations(names: readonly TableName[]): Promise<(RelationFacts | undefined)[]> {
    const found: (RelationFacts | undefined)[] = names.map(() => undefined)
    if (names.length === 0) return found
    const { rows } = await this.#manager.query<RelationRow>(RELATIONS, [
      names.map(({ schema }) => schema ?? null),
      names.map(({ name }) => name),
    ])
    for (const { ord, oid, schema, name, relkind, temporary, secured, definition } of rows) {
      found[ord - 1] = {
        oid: Number(oid),
        schema,
        name,
        relkind,
        isTemporary: temporary,
        hasRowSecurity: secured,
        definition: definition ?? undefined,
      }
    }
    return found
  }

  /** All functions that each call may mean. */
  async functions(calls: readonly FunctionCall[]): Promise<FunctionFacts[][]> {
    const found: FunctionFacts[][] = calls.map(() => [])
    if (calls.length === 0) return found
    const { rows } = await this.#manager.query<FunctionRow>(FUNCTIONS, [
      calls.map(({ schema }) => schema ?? null),
      calls.map(({ name }) => name),
      calls.map(({ argumentCount }) => argumentCount),
    ])
    for (const { ord, ...row } of rows) found[ord - 1]?.push(functionOf(row))
    return found
  }

  /** Functions of the user's that a field of one of these names may call. */
  async rowFunctions(fields: readonly string[]): Promise<FunctionFacts[]> {
    if (fields.length === 0) return []
    const { rows } = await this.#manager.query<Omit<FunctionRow, 'ord'>>(ROW_FUNCTIONS, [fields])
    return rows.map(functionOf)
  }

  /** A volatile function of the user's that may be meant by one of the names, or by a cast. */
  async hiddenWriter(
    functions: readonly string[],
    operators: readonly string[],
  ): Promise<string | undefined> {
    const { rows } = await this.#manager.query<{ name: string }>(HIDDEN_WRITERS, [
      functions,
      operators,
    ])
    return rows[0]?.name
  }

  /** Those of the operators that mean, or may mean, a function of the user's that is not immutable. */
  async unsteadyOperators(names: readonly string[]): Promise<string[]> {
    if (names.length === 0) return []
    const { rows } = await this.#manager.query<{ name: string }>(OPERATORS, [names])
    return rows.map(({ name }) => name)
  }

  /**
   * Types, to which a function of the user's that is not immutable casts: those that the server casts
   * to by itself, and those of the names.
   */
  async unsteadyCasts(names: readonly string[]): Promise<string[]> {
    const { rows } = await this.#manager.query<{ name: string }>(CASTS, [names])
    return rows.map(({ name }) => name)
  }

  /** Tables of which `installChangeTriggers` has made that they tell of changes. */
  async tellingTables(): Promise<number[]> {
    const { rows } = await this.#manager.query<{ oid: string }>(TELLING)
    return rows.map(({ oid }) => Number(oid))
  }

  /** Relations named as SQL writes them. @throws RangeError for a name that means nothing */
  async named(names: readonly string[]): Promise<{ oid: number; schema: string; name: string }[]> {
    if (names.length === 0) return []
    const { rows } = await this.#manager.query<NamedRow>(NAMED, [names])
    return rows.map(({ given, oid, schema, name }) => {
      if (oid === null || schema === null || name === null) {
        throw new RangeError(`there is no table ${given}`)
      }
      return { oid: Number(oid), schema, name }
    })
  }

  async effects(oids: readonly number[]): Promise<TableEffects[]> {
    const { rows } = await this.#manager.query<EffectsRow>(EFFECTS, [oids])
    return rows.map(({ oid, schema, name, kin, refs, triggers, columns, rules }) => ({
      oid: Number(oid),
      name: `${schema}.${name}`,
      kin,
      references: refs.map(([referrer, onDelete, onUpdate]) => ({
        oid: referrer,
        onDelete,
        onUpdate,
      })),
      actions: [
        ...[...triggers, ...columns].map(([language, fn, source]) => ({
          language,
          function: fn,
          source,
        })),
        ...Array.from({ length: rules }, () => ({ language: 'rule', function: '', source: '' })),
      ],
    }))
  }
}

function functionOf({ schema, name, volatility, kind }: Omit<FunctionRow, 'ord'>): FunctionFacts {
  return {
    schema,
    name,
    volatility: VOLATILITIES[volatility] ?? 'volatile',
    kind: FUNCTION_KINDS[kind] ?? 'function',
  }
}

interface RelationRow {
  readonly ord: number
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly relkind: string
  readonly temporary: boolean
  readonly secured: boolean
  readonly definition: string | null
}

interface FunctionRow {
  readonly ord: number
  readonly schema: string
  readonly name: string
  readonly volatility: string
  readonly kind: string
}

interface NamedRow {
  readonly given: string
  readonly oid: string | null
  readonly schema: string | null
  readonly name: string | null
}

interface EffectsRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly kin: readonly number[]
  readonly refs: readonly (readonly [number, string, string])[]
  readonly triggers: readonly (readonly [string, string, string])[]
  readonly columns: readonly (readonly [string, string, string])[]
  readonly rules: number
}
