import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ProcessUser } from './server-process.ts'

/** Accounts that a server may run as when this process is root, in order of preference. */
const ACCOUNTS = ['postgres', 'nobody']

/** The user for a server that refuses to run as root; undefined where this process is not root. */
export async function unprivilegedUser(): Promise<ProcessUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const account of ACCOUNTS) {
    const [, , uid, gid] = lines.find(([name]) => name === account) ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error(
    `this process is root, and there is no account ${ACCOUNTS.join(' or ')} to run as`,
  )
}

/** Whether the user can reach the file, which no folder above it may forbid. */
export async function canReach(path: string, { uid, gid }: ProcessUser): Promise<boolean> {
  const { uid: owner, gid: group, mode } = await stat(path)
  const bits = owner === uid ? mode >> 6 : group === gid ? mode >> 3 : mode
  if ((bits & 1) === 0) return false
  const parent = dirname(path)
  return parent === path || canReach(parent, { uid, gid })
}
