import type { CopyLine } from '../copy/copy-line.ts'
import { nodesOf, type PlanNode, type PlanRelation } from './plan-tree.ts'

/** What the catalog and the statistics say of a table. */
export interface RelationFacts {
  readonly schema: string
  readonly name: string
  /** The planner's estimate; -1 where it has none. */
  readonly rows: number
  readonly pages: number
  /** Pages of which all rows are visible to everybody. */
  readonly visiblePages: number
  readonly rowsChangedSinceAnalyze: number
  readonly hasStatistics: boolean
}

export type FactsOf = (relation: PlanRelation | undefined) => RelationFacts | undefined

const FACTS = `
  select n.nspname as schema, c.relname as name, c.reltuples::float8 as rows,
         (pg_relation_size(c.oid) / current_setting('block_size')::int8)::float8 as pages,
         c.relallvisible::float8 as "visiblePages",
         coalesce(pg_stat_get_mod_since_analyze(c.oid), 0)::float8 as "rowsChangedSinceAnalyze",
         exists (select from pg_stats s where s.schemaname = n.nspname and s.tablename = c.relname)
           as "hasStatistics"
  from unnest($1::text[], $2::text[]) as wanted (schema, name)
    join pg_namespace n on n.nspname = wanted.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
  where c.relkind in ('r', 'm')`

/** Reads the facts of all tables in a plan. */
export async function readRelationFacts(line: CopyLine, root: PlanNode): Promise<FactsOf> {
  const relations = new Map<string, PlanRelation>()
  for (const { relation } of nodesOf(root)) {
    if (relation?.schema !== undefined)
      relations.set(keyOf(relation.schema, relation.name), relation)
  }
  const all = [...relations.values()]
  const rows =
    all.length === 0
      ? []
      : await line.query<RelationFacts>(FACTS, [
          all.map(({ schema }) => schema),
          all.map(({ name }) => name),
        ])
  const facts = new Map(rows.map((row) => [keyOf(row.schema, row.name), row]))
  return (relation) => facts.get(keyOf(relation?.schema ?? '', relation?.name ?? ''))
}

function keyOf(schema: string, name: string): string {
  return JSON.stringify([schema, name])
}
