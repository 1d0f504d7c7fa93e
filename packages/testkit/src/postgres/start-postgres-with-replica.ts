import { chown, cp, readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Client } from 'pg'
import { ServerStartError } from '../errors.ts'
import { until } from '../process/until.ts'
import { readyTimeoutOf, type TestServer } from '../test-server.ts'
import type { PostgresOptions } from './postgres-options.ts'
import { postgresInstallation, startPostgresProcess, type PrepareData } from './start-postgres.ts'

/** A primary and a hot standby that streams from it, asynchronously. */
export interface PostgresWithReplica extends AsyncDisposable {
  readonly primary: TestServer
  readonly replica: TestServer
  /** Makes the replica a primary of its own; resolves when it takes writes. The old primary is left as it is. */
  promote(): Promise<void>
  /**
   * Starts the primary, which must have been killed after `caughtUp()`, as a replica of the one that was
   * promoted; resolves when it answers.
   */
  demote(): Promise<void>
  /** Waits until the replica has replayed all that the primary has written by now. */
  caughtUp(): Promise<void>
  close(): Promise<void>
}

/** What belongs to the running primary and not to a copy of its data. Source: PostgreSQL manual, "Low-Level API". */
const NOT_COPIED = new Set(['postmaster.pid', 'postmaster.opts', 'pg_internal.init'])
const EMPTIED = new Set(['pg_wal', 'pg_replslot', 'pg_dynshmem', 'pg_stat_tmp', 'pg_notify'])

/** Starts both as processes of this machine and waits until the replica streams. */
export async function startPostgresWithReplica(
  options: PostgresOptions = {},
): Promise<PostgresWithReplica> {
  const installation = await postgresInstallation(options.version)
  const settings = { wal_keep_size: '256MB', ...options.settings }
  const primary = await startPostgresProcess(installation, { ...options, settings })
  const password = new URL(primary.url).password
  const { databases: _, ...replicaOptions } = { ...options, settings }
  const replica = await startPostgresProcess(installation, replicaOptions, {
    password,
    prepareData: (place) => copyPrimary(primary, place),
  }).catch(async (error: unknown) => {
    await primary.close()
    throw error
  })
  const dataFolder = await query(
    primary,
    'select setting as value from pg_settings where name = $$data_directory$$',
  )
  const close = async (): Promise<void> => {
    await Promise.all([replica.close(), primary.close()])
  }
  const topology: PostgresWithReplica = {
    primary,
    replica,
    promote: async () => {
      await query(replica, 'select pg_promote(true, 60)')
    },
    demote: async () => {
      await followServer(replica, dataFolder ?? '')
      await primary.restart()
    },
    caughtUp: () => catchUp(primary, replica, readyTimeoutOf(options)),
    close,
    [Symbol.asyncDispose]: close,
  }
  try {
    await topology.caughtUp()
    return topology
  } catch (error) {
    await close()
    throw error
  }
}

/** A base backup by the server's own functions and a copy of its files: pg_basebackup is not in every installation. */
async function copyPrimary(
  primary: TestServer,
  { dataFolder, user }: Parameters<PrepareData>[0],
): Promise<void> {
  const client = await connectTo(primary)
  try {
    const { rows: places } = await client.query<{ data_directory: string }>('show data_directory')
    const source = places[0]?.data_directory ?? ''
    await client.query("select pg_backup_start('replica', true)")
    await cp(source, dataFolder, {
      recursive: true,
      filter: (path) => !NOT_COPIED.has(basename(path)) && !isInEmptied(source, path),
    })
    const { rows: labels } = await client.query<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(false)',
    )
    await writeFile(join(dataFolder, 'backup_label'), labels[0]?.labelfile ?? '')
  } finally {
    await client.end()
  }
  await followServer(primary, dataFolder)
  if (user === undefined) return
  for (const entry of await readdir(dataFolder, { recursive: true })) {
    await chown(join(dataFolder, entry), user.uid, user.gid)
  }
}

/** Makes the server of a data folder a replica from its next start on. */
async function followServer(source: TestServer, dataFolder: string): Promise<void> {
  const { hostname, port, password } = new URL(source.url)
  const address = `host=${hostname} port=${port} user=postgres password=${password}`
  await writeFile(join(dataFolder, 'postgresql.auto.conf'), `primary_conninfo = '${address}'\n`)
  await writeFile(join(dataFolder, 'standby.signal'), '')
}

/** Whether the path lies in a folder that is copied without what is in it. */
function isInEmptied(source: string, path: string): boolean {
  const [top, ...rest] = path.slice(source.length + 1).split('/')
  return top !== undefined && EMPTIED.has(top) && rest.length > 0
}

async function catchUp(primary: TestServer, replica: TestServer, timeoutMs: number): Promise<void> {
  const lsn = await query(primary, 'select pg_current_wal_lsn()::text as value')
  const outcome = await until(
    async () => {
      const statement = `select (pg_last_wal_replay_lsn() >= '${lsn}')::text as value`
      return (await query(replica, statement)) === 'true' ? true : undefined
    },
    { timeoutMs, everyMs: 10 },
  )
  if (outcome.met) return
  const reason = `did not catch up within ${timeoutMs} ms`
  throw new ServerStartError(`the replica on port ${replica.port}`, reason, '', {
    cause: outcome.lastError,
  })
}

async function query(server: TestServer, statement: string): Promise<string | undefined> {
  const client = await connectTo(server)
  try {
    const { rows } = await client.query<{ value?: string }>(statement)
    return rows[0]?.value
  } finally {
    await client.end()
  }
}

async function connectTo(server: TestServer): Promise<Client> {
  const client = new Client({ connectionString: server.url, connectionTimeoutMillis: 5000 })
  // A connection that breaks makes the query fail, which says it as well.
  client.on('error', () => {})
  await client.connect()
  return client
}
