import type { Clock } from '@dharma/core'
import { PostgresConnection, type ConnectionSettings } from '../connection.ts'
import { PostgresConnectionError, wrapPostgresError } from '../errors.ts'
import { parseLsn, type Lsn } from './lsn.ts'

/** What a server says of itself. */
export interface RoleReport {
  readonly isReplica: boolean
  /** Written by a primary, replayed by a replica. */
  readonly lsn: Lsn
  /** Counts the promotions before a primary: of two that call themselves so, the higher one is. 0 on a replica. */
  readonly timeline: number
}

/** Not the written but the inserted place: a commit that need not be flushed is before it too. */
const QUESTION = `select pg_is_in_recovery() as replica,
  case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_insert_lsn() end::text as lsn,
  case when pg_is_in_recovery() then '0' else left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline`

/** A server is given this long to answer, on a connection that is open. */
const ANSWER_TIMEOUT_MS = 500

/** Asks over a connection of one's own. @throws PostgresConnectionError also when no answer comes */
export async function askRole(
  connection: PostgresConnection,
  { clock }: Pick<RoleProbeSettings, 'clock'>,
): Promise<RoleReport> {
  const late = clock.setTimeout(() => connection.destroy(), ANSWER_TIMEOUT_MS)
  try {
    const { rows } = await connection.client.query<{
      replica: boolean
      lsn: string
      timeline: string
    }>(QUESTION)
    const [row] = rows
    if (row === undefined) throw new PostgresConnectionError('a server gave no report of itself')
    return {
      isReplica: row.replica,
      lsn: parseLsn(row.lsn),
      timeline: Number.parseInt(row.timeline, 16),
    }
  } catch (error) {
    throw wrapPostgresError(error)
  } finally {
    late.cancel()
  }
}

type RoleProbeSettings = ConnectionSettings & { readonly clock: Clock }

/** Asks on a new connection, which proves that the server takes some. @throws PostgresConnectionError */
export async function probeRole(
  settings: RoleProbeSettings,
  signal: AbortSignal,
): Promise<RoleReport> {
  const connectTimeoutMs = Math.min(settings.connectTimeoutMs, ANSWER_TIMEOUT_MS)
  const connection = await PostgresConnection.open(
    { ...settings, connectTimeoutMs },
    { signal, onDead: () => undefined },
  )
  try {
    return await askRole(connection, settings)
  } finally {
    connection.destroy()
  }
}
