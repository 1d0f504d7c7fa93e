import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerUnavailableError } from '../errors.ts'
import { findOnMachine, type Executable } from '../lookup/executable.ts'
import type { Finding } from '../lookup/first-available.ts'
import { once } from '../lookup/once.ts'
import { ManagedServer } from '../process/managed-server.ts'
import { createServerFolder, ServerProcess } from '../process/server-process.ts'
import { startOnFreePort } from '../process/start-on-free-port.ts'
import { unprivilegedUser } from '../process/unprivileged-user.ts'
import { readyTimeoutOf, type Address, type StartOptions, type TestServer } from '../test-server.ts'
import { probePostgres } from './postgres-probe.ts'

/** What {@link startPgBouncer} takes. */
export interface PgBouncerOptions extends Omit<StartOptions, 'dedicated'> {
  /** When a session of the server goes to another client. @default 'transaction' */
  readonly poolMode?: 'session' | 'transaction' | 'statement'
  /** Sessions of the server at most. @default 5 */
  readonly poolSize?: number
}

const HOST = '127.0.0.1'
const ADVICE = 'Install PgBouncer (the package is called pgbouncer) for tests behind a pooler.'

const findPgBouncer: () => Promise<Finding<Executable>> = once(() =>
  findOnMachine(['pgbouncer'], ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin']),
)

/** Whether this machine has a PgBouncer; tests that need one are skipped where it has not. */
export async function isPgBouncerAvailable(): Promise<boolean> {
  return 'found' in (await findPgBouncer())
}

/**
 * A PgBouncer before a PostgreSQL, as a process of this machine. It lets everyone in and is the
 * server's superuser itself. @throws ServerUnavailableError where there is no such program
 */
export async function startPgBouncer(
  server: TestServer,
  options: PgBouncerOptions = {},
): Promise<TestServer> {
  const finding = await findPgBouncer()
  if ('refusal' in finding) {
    const { refusal } = finding
    const tried = [{ origin: 'binary' as const, what: 'pgbouncer in PATH', refusal }]
    throw new ServerUnavailableError('postgres', tried, ADVICE)
  }
  const { path } = finding.found
  const user = await unprivilegedUser()
  return startOnFreePort(async (port) => {
    const folder = await createServerFolder('postgres', user)
    const configFile = join(folder, 'pgbouncer.ini')
    await writeFile(configFile, configuration(server, port, options), { mode: 0o600 })
    if (user !== undefined) await chown(configFile, user.uid, user.gid)
    return new ManagedServer({
      kind: 'postgres',
      origin: 'binary',
      host: HOST,
      port,
      urlAt,
      runtime: new ServerProcess({
        name: `pgbouncer on port ${port}`,
        folder,
        command: path,
        args: [configFile],
        user,
        stopSignal: 'SIGINT',
      }),
      probe: () => probePostgres(urlAt({ host: HOST, port })),
      readyTimeoutMs: readyTimeoutOf(options),
    })
  }, options.signal)
}

function urlAt({ host, port }: Address): string {
  return `postgres://postgres@${host}:${port}/postgres`
}

function configuration(
  { url }: TestServer,
  port: number,
  { poolMode = 'transaction', poolSize = 5 }: PgBouncerOptions,
): string {
  const { hostname, port: serverPort, username, password } = new URL(url)
  return `[databases]
* = host=${hostname} port=${serverPort} user=${username} password=${password}
[pgbouncer]
listen_addr = ${HOST}
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${poolMode}
default_pool_size = ${poolSize}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
`
}
