import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startContainer } from '../docker/start-container.ts'
import { isDockerAvailable } from '../lookup/docker-engine.ts'
import {
  EnvironmentServer,
  environmentUrl,
  environmentVariable,
  replaceAddress,
} from '../lookup/environment-server.ts'
import { firstAvailable } from '../lookup/first-available.ts'
import { canReach, unprivilegedUser } from '../process/unprivileged-user.ts'
import { ManagedServer } from '../process/managed-server.ts'
import type { ServerRuntime } from '../process/server-runtime.ts'
import { createServerFolder, ServerProcess, type ProcessUser } from '../process/server-process.ts'
import { startOnFreePort } from '../process/start-on-free-port.ts'
import { readyTimeoutOf, type Address, type Origin, type TestServer } from '../test-server.ts'
import { POSTGRES_ADVICE, postgresWays, type PostgresInstallation } from './postgres-executable.ts'
import { settingArguments, type PostgresOptions } from './postgres-options.ts'
import { probePostgres } from './postgres-probe.ts'
import { removeSharedMemory } from './remove-shared-memory.ts'

const run = promisify(execFile)
const HOST = '127.0.0.1'
const DEFAULT_IMAGE_VERSION = 18

/**
 * A PostgreSQL with a superuser `postgres`, whose random password is in the URL, and a database of that
 * name. As root it runs under another account, since PostgreSQL refuses root.
 * @throws ServerUnavailableError where no way leads to one, with all that was tried.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<TestServer> {
  const isOwn =
    options.dedicated === true || options.settings !== undefined || options.version !== undefined
  const given = isOwn ? undefined : environmentUrl('postgres')
  if (given !== undefined) {
    await probePostgres(given, options.databases)
    return new EnvironmentServer('postgres', given, 5432, (address) =>
      replaceAddress(given, address),
    )
  }
  if (await isDockerAvailable()) return startPostgresContainer(options)
  return startPostgresProcess(await postgresInstallation(options.version), options)
}

/** The PostgreSQL of this machine, of the wanted major version where it has one. */
export async function postgresInstallation(version?: number): Promise<PostgresInstallation> {
  return firstAvailable(
    'postgres',
    [
      {
        origin: 'environment',
        what: environmentVariable('postgres'),
        find: async () => ({ refusal: 'is not set, or a dedicated server is wanted' }),
      },
      {
        origin: 'docker',
        what: 'a container engine',
        find: async () => ({ refusal: 'none answers' }),
      },
      ...(await postgresWays(version)),
    ],
    POSTGRES_ADVICE,
  )
}

/** How the data folder of a new server comes to be; by default from initdb. */
export type PrepareData = (place: {
  readonly dataFolder: string
  readonly installation: PostgresInstallation
  readonly user: ProcessUser | undefined
}) => Promise<void>

/** A PostgreSQL as a process of this machine. */
export async function startPostgresProcess(
  found: PostgresInstallation,
  options: PostgresOptions,
  {
    password = newPassword(),
    prepareData,
  }: { readonly password?: string; readonly prepareData?: PrepareData } = {},
): Promise<ManagedServer> {
  const user = await unprivilegedUser()
  return startOnFreePort(async (port) => {
    const folder = await createServerFolder('postgres', user)
    const installation = await reachable(found, folder, user)
    const prepare = (dataFolder: string): Promise<void> =>
      prepareData === undefined
        ? runInitdb({ installation, folder, dataFolder, password, user })
        : prepareData({ dataFolder, installation, user })
    const runtime = new ServerProcess({
      name: `postgres on port ${port}`,
      folder,
      command: installation.server.path,
      args: [
        '-D',
        join(folder, 'data'),
        '-p',
        String(port),
        '-c',
        `listen_addresses=${HOST}`,
        '-c',
        'unix_socket_directories=',
        ...settingArguments(options.settings),
      ],
      user,
      prepare,
      sweep: removeSharedMemory,
      stopSignal: 'SIGINT',
      endSignal: 'SIGQUIT',
    })
    return postgresServer(installation.server.origin, { host: HOST, port }, runtime, {
      password,
      options,
    })
  }, options.signal)
}

async function startPostgresContainer(options: PostgresOptions): Promise<TestServer> {
  const password = newPassword()
  return startOnFreePort(async (port) => {
    const runtime = await startContainer({
      image: `postgres:${options.version ?? DEFAULT_IMAGE_VERSION}-alpine`,
      port,
      command: ['postgres', '-p', String(port), ...settingArguments(options.settings)],
      env: { POSTGRES_PASSWORD: password },
    })
    return postgresServer('docker', { host: runtime.host, port }, runtime, { password, options })
  }, options.signal)
}

function postgresServer(
  origin: Origin,
  address: Address,
  runtime: ServerRuntime,
  { password, options }: { readonly password: string; readonly options: PostgresOptions },
): ManagedServer {
  const urlAt = ({ host, port }: Address): string =>
    `postgres://postgres:${password}@${host}:${port}/postgres`
  return new ManagedServer({
    kind: 'postgres',
    origin,
    ...address,
    urlAt,
    runtime,
    probe: () => probePostgres(urlAt(address), options.databases),
    readyTimeoutMs: readyTimeoutOf(options),
  })
}

/** The installation itself, or a copy in the server's folder where its user cannot reach the original. */
async function reachable(
  installation: PostgresInstallation,
  folder: string,
  user: ProcessUser | undefined,
): Promise<PostgresInstallation> {
  const { movableRoot, server, initdb } = installation
  if (movableRoot === undefined || user === undefined) return installation
  if (await canReach(server.path, user)) return installation
  const copy = join(folder, 'program')
  await cp(movableRoot, copy, { recursive: true, verbatimSymlinks: true })
  const moved = (path: string): string => path.replace(movableRoot, copy)
  return { ...installation, initdb: moved(initdb), server: { ...server, path: moved(server.path) } }
}

async function runInitdb(place: {
  readonly installation: PostgresInstallation
  readonly folder: string
  readonly dataFolder: string
  readonly password: string
  readonly user: ProcessUser | undefined
}): Promise<void> {
  const passwordFile = join(place.folder, 'password')
  await writeFile(passwordFile, place.password, { mode: 0o600 })
  const { user } = place
  if (user !== undefined) await chown(passwordFile, user.uid, user.gid)
  const args = [
    '-D',
    place.dataFolder,
    '-U',
    'postgres',
    '-A',
    'scram-sha-256',
    '--pwfile',
    passwordFile,
  ]
  await run(place.installation.initdb, [...args, '-E', 'UTF8', '--locale=C', '--no-sync'], {
    ...user,
    cwd: place.folder,
    env: { ...process.env, LC_ALL: 'C' },
  })
  await rm(passwordFile)
}

function newPassword(): string {
  return randomBytes(12).toString('hex')
}
