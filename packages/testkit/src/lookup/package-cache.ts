import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A folder of the cache, filled once: `fill` writes into a private folder beside it, which then takes the
 * name in one step. Of two processes that fill it at the same time one wins, and both results are whole.
 */
export async function cachedFolder(
  name: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const root = await cacheRoot()
  const folder = join(root, name)
  if (await isFolder(folder)) return folder
  const draft = await mkdtemp(join(root, `.${name}-`))
  try {
    await fill(draft)
    await rename(draft, folder).catch(async (error: unknown) => {
      if (!(await isFolder(folder))) throw error
    })
  } finally {
    await rm(draft, { force: true, recursive: true })
  }
  return folder
}

/** The user's cache folder for downloads; one in the temporary folder where the home cannot be written. */
export async function cacheRoot(): Promise<string> {
  const xdg = process.env['XDG_CACHE_HOME']
  const base = xdg === undefined || xdg === '' ? join(homedir(), '.cache') : xdg
  const root = join(base, 'dharma')
  try {
    await mkdir(root, { recursive: true })
    return root
  } catch {
    const fallback = join(tmpdir(), `dharma-cache-${process.getuid?.() ?? 0}`)
    await mkdir(fallback, { mode: 0o700, recursive: true })
    const { uid } = await stat(fallback)
    // Programs are run from here, so a folder that somebody else put there is not taken.
    if (process.getuid !== undefined && uid !== process.getuid()) {
      throw new Error(`${fallback} belongs to another user`)
    }
    return fallback
  }
}

/** One line about a download, on the standard error stream. */
export function sayProgress(line: string): void {
  process.stderr.write(`testkit: ${line}\n`)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  )
}
