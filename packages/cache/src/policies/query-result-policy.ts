import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { digest } from './digest.ts'
import { preset, type PresetOptions } from './preset.ts'

/** A query, what it was given, and what it reads. */
export interface QueryResultId {
  /** The query's name, or its text. */
  readonly query: string
  readonly parameters?: readonly unknown[] | Readonly<Record<string, unknown>> | undefined
  /** Tables or collections that it reads: a write to one of them drops the result. */
  readonly tables?: readonly string[] | undefined
}

/**
 * Results of database queries, by query and parameters. Both stand in the key as a digest: queries
 * are long, and parameters may be private. Tagged with the tables they read.
 *
 * - TTL 1 minute: lists and sums go stale with any write to their tables, and not every write is
 *   announced. A minute takes the load of a dashboard with many viewers, and is what one forgives it.
 * - Stale for 1 minute more: an expensive query runs behind, not before somebody's eyes.
 * - Early refresh: the more a query costs, the earlier it is run again, so that a popular one never
 *   expires under all its viewers at once.
 * - Grace 5 minutes: for a short failover of the database; longer, and a report would be wrong.
 */
export function queryResultPolicy<Value>(
  options?: PresetOptions<Value>,
): Policy<Value, QueryResultId> {
  return preset<Value, QueryResultId>(
    {
      name: 'query-result',
      key: ({ query, parameters = [] }) => digest([query, parameters]),
      tags: ({ tables = [] }) => tables.map((table) => entityTags.table(table)),
      ttlMs: 60_000,
      staleMs: 60_000,
      graceMs: 300_000,
      earlyRefresh: 1,
    },
    options,
  )
}
