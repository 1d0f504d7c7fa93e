import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

interface ProcessRow {
  readonly pid: number
  readonly parent: number
  /** As in ps: `T` is stopped, `Z` is dead and not yet reaped. */
  readonly status: string
}

/** Sends a signal to a process and all its descendants, children that come up meanwhile included. */
export function signalTree(root: number, signal: NodeJS.Signals): readonly number[] {
  if (signal === 'SIGKILL') {
    // The death of a parent takes its children out of the tree, so the whole of it is stopped and listed first.
    const family = signalTree(root, 'SIGSTOP')
    for (const pid of family) sendSignal(pid, 'SIGKILL')
    return family
  }
  const reached = new Set<number>()
  const reach = (pid: number): void => {
    reached.add(pid)
    sendSignal(pid, signal)
  }
  // SIGCONT goes to the children first, so that the parent never sees a child that still sleeps.
  if (signal !== 'SIGCONT') reach(root)
  for (;;) {
    const fresh = descendantsOf([root, ...reached]).filter((pid) => !reached.has(pid))
    fresh.forEach(reach)
    if (fresh.length === 0) break
  }
  if (signal === 'SIGCONT') reach(root)
  return [...reached]
}

/** The processes that descend from any of these, at this moment. */
export function descendantsOf(roots: readonly number[]): readonly number[] {
  const rows = processTable()
  const family = new Set(roots)
  for (let grown = true; grown;) {
    grown = false
    for (const { pid, parent, status } of rows) {
      if (family.has(pid) || !family.has(parent) || status === 'Z') continue
      family.add(pid)
      grown = true
    }
  }
  return [...family].filter((pid) => !roots.includes(pid))
}

/** Whether the process exists; one that is dead and only waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  const status = statusOf(pid)
  return status !== undefined && status !== 'Z'
}

/** Whether the process can do nothing: stopped by SIGSTOP, or gone. */
export function standsStill(pid: number): boolean {
  return !isAlive(pid) || statusOf(pid) === 'T'
}

/** Sends a signal; a process that is gone already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function statusOf(pid: number): string | undefined {
  return processTable(pid).find((row) => row.pid === pid)?.status
}

function processTable(only?: number): readonly ProcessRow[] {
  if (process.platform !== 'linux') return processTableByPs()
  const pids =
    only === undefined ? readdirSync('/proc').filter((name) => /^\d+$/u.test(name)) : [only]
  return pids.flatMap((pid) => {
    const row = readStat(Number(pid))
    return row === undefined ? [] : [row]
  })
}

function readStat(pid: number): ProcessRow | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined // it ended between the listing and the reading
  }
  // proc(5): the command stands in parentheses and may hold any character, so count from the last one.
  const [status, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { pid, parent: Number(parent), status: (status ?? '').toUpperCase() }
}

function processTableByPs(): readonly ProcessRow[] {
  const table = execFileSync('ps', ['-axo', 'pid=,ppid=,stat='], { encoding: 'utf8' })
  return table.split('\n').flatMap((line) => {
    const [pid, parent, status] = line.trim().split(/\s+/u)
    if (pid === undefined || pid === '') return []
    return [{ pid: Number(pid), parent: Number(parent), status: (status ?? '').charAt(0) }]
  })
}
