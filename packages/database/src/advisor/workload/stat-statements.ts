import type { AdvisorSession } from '../advisor-session.ts'
import type { WorkloadRecord } from './workload.ts'

export interface StatStatementsOptions {
  /** Statements read, those of the greatest total time. From 1 to 5_000. @default 500 */
  readonly maxStatements?: number
}

interface Row {
  readonly text: string
  readonly calls: number
  readonly meanMs: number
}

/**
 * What pg_stat_statements has counted for the database of the session. It replaces all constants, those
 * of the structure too: partial indexes and expressions of JSON need the tracker or a log.
 * @throws RangeError, and the server's error where the extension is not there
 */
export async function workloadOfStatStatements(
  session: AdvisorSession,
  { maxStatements = 500 }: StatStatementsOptions = {},
): Promise<WorkloadRecord[]> {
  if (!(maxStatements >= 1 && maxStatements <= 5_000)) {
    throw new RangeError(`maxStatements must be from 1 to 5000, got ${maxStatements}`)
  }
  const { rows } = await session.query<Row>(
    `select query as text, sum(calls)::float8 as calls,
            (sum(total_exec_time) / greatest(sum(calls), 1))::float8 as "meanMs"
     from pg_stat_statements
     where dbid = (select oid from pg_database where datname = current_database())
     group by query order by sum(total_exec_time) desc limit $1`,
    [maxStatements],
  )
  return rows
}
