import { execFile } from 'node:child_process'
import { access, constants, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Origin } from '../test-server.ts'
import type { Finding } from './first-available.ts'

/** A server's program that was seen to run on this machine. */
export interface Executable {
  readonly origin: Origin
  readonly path: string
  /** Environment variables that it needs, such as the place of its libraries. */
  readonly env: Readonly<Record<string, string>>
  /** As the program says it, for example `7.0.15`. */
  readonly version: string
}

const run = promisify(execFile)
const VERSION_TIMEOUT_MS = 10_000

/**
 * Runs `path --version`: a program may be there and still not run here, for want of a library or for
 * another processor.
 */
export async function probeExecutable(
  origin: Origin,
  path: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Finding<Executable>> {
  try {
    const { stdout } = await run(path, ['--version'], {
      env: { ...process.env, ...env },
      timeout: VERSION_TIMEOUT_MS,
    })
    const version = /v?=?(\d+(?:\.\d+)+|\d+)/u.exec(stdout)?.[1]
    if (version === undefined) return { refusal: `${path} --version names no version` }
    return { found: { origin, path, env, version } }
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n')[0]
    const reason = said === undefined || said === '' ? (error as Error).message : said
    return { refusal: `${path} does not run: ${reason}` }
  }
}

/** The first program of these names that runs, in the folders of PATH and then in `extraFolders`. */
export async function findOnMachine(
  names: readonly string[],
  extraFolders: readonly string[],
): Promise<Finding<Executable>> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...extraFolders]
  const refusals: string[] = []
  for (const name of names) {
    for (const folder of new Set(folders.filter((each) => each !== ''))) {
      const path = join(folder, name)
      if (!(await isExecutable(path))) continue
      const finding = await probeExecutable('binary', path)
      if ('found' in finding) return finding
      refusals.push(finding.refusal)
    }
  }
  return { refusal: refusals.length > 0 ? refusals.join('; ') : 'not found' }
}

/** Whether a file is there and may be run by this process. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** The folders `parent/<any>/tail`, highest version first; none where `parent` is missing. */
export async function versionedFolders(parent: string, tail: string): Promise<readonly string[]> {
  const names = await readdir(parent).catch((): string[] => [])
  return names
    .toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((name) => join(parent, name, tail))
}
