import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * Removes the small System V segment by which PostgreSQL guards its data folder: the kernel keeps it when the
 * server is killed, and only the next start on the same folder would take it away.
 */
export async function removeSharedMemory(dataFolder: string): Promise<void> {
  // A server that ended by itself has removed this file and the segment.
  const lines = await readFile(join(dataFolder, 'postmaster.pid'), 'utf8').catch(() => '')
  // The seventh line holds the segment's key and its id.
  const id = lines.split('\n')[6]?.trim().split(/\s+/u)[1]
  if (id === undefined) return
  // Where the program is missing or the segment is gone, a few bytes stay until the next boot at worst.
  await run('ipcrm', ['-m', id]).catch(() => {})
}
