import { spawn, type ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'

/** What the watchdog ends and removes when this process is gone. */
export interface Ward {
  /** The server's folder. On Linux, all processes that work in it belong to the server. */
  readonly folder: string
  /** The server's main process, once known. */
  readonly pid?: number | undefined
  /** What a server gets first, to clean up by itself; SIGKILL follows. */
  readonly signal: NodeJS.Signals
}

type Message =
  | (Ward & { readonly release?: false })
  | { readonly folder: string; readonly release: true }

let watchdog: { readonly child: ChildProcess; readonly pipe: Writable } | undefined
const wards = new Set<string>()

/**
 * Puts a server under the watchdog: a small process of its own session that holds a pipe from this one. The
 * pipe's end comes however this process ends, SIGKILL included; then it ends all servers and removes
 * their folders. Call again when the pid is known or has changed.
 */
export function guard(ward: Ward): void {
  wards.add(ward.folder)
  tell(ward)
}

/** Takes a server off the watchdog; the watchdog ends with the last one. */
export function release(folder: string): void {
  if (!wards.delete(folder)) return
  tell({ folder, release: true })
  if (wards.size > 0) return
  watchdog?.pipe.end()
  watchdog = undefined
}

function tell(message: Message): void {
  watchdog ??= startWatchdog()
  watchdog.pipe.write(`${JSON.stringify(message)}\n`)
}

function startWatchdog(): { readonly child: ChildProcess; readonly pipe: Writable } {
  const child = spawn(process.execPath, ['-e', `(${watch.toString()})()`], {
    cwd: '/',
    detached: true,
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.unref()
  const { stdin } = child
  if (stdin === null) throw new Error('the watchdog has no pipe')
  // A broken pipe only means that the watchdog was killed by somebody: servers then end with close().
  stdin.on('error', () => {})
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
  return { child, pipe: stdin }
}

/** The watchdog's whole program. It is sent as text, so it uses nothing from outside itself. */
/* oxlint-disable unicorn/consistent-function-scoping */
function watch(): void {
  const { readFileSync, readdirSync, readlinkSync, rmSync } = process.getBuiltinModule('node:fs')
  const { createInterface } = process.getBuiltinModule('node:readline')
  const guarded = new Map<string, { pid?: number; signal: NodeJS.Signals }>()

  const attempt = <T>(action: () => T): T | undefined => {
    try {
      return action()
    } catch {
      return undefined // gone already: what the watchdog is for
    }
  }
  const isAlive = (pid: number): boolean => {
    const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
    if (stat !== undefined) return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
    return attempt(() => process.kill(pid, 0)) === true
  }
  const residents = (folder: string): number[] =>
    (attempt(() => readdirSync('/proc')) ?? []).map(Number).filter((pid) => {
      if (Number.isNaN(pid)) return false
      const cwd = attempt(() => readlinkSync(`/proc/${pid}/cwd`))
      return cwd !== undefined && `${cwd}/`.startsWith(`${folder}/`)
    })
  const endAll = async (): Promise<void> => {
    const members = (): { pid: number; signal: NodeJS.Signals }[] =>
      [...guarded].flatMap(([folder, { pid, signal }]) =>
        [...new Set([...(pid === undefined ? [] : [pid]), ...residents(folder)])]
          .filter(isAlive)
          .map((member) => ({ pid: member, signal })),
      )
    for (const { pid, signal } of members()) {
      attempt(() => process.kill(pid, 'SIGCONT'))
      attempt(() => process.kill(pid, signal))
    }
    const deadline = Date.now() + 2000
    while (members().length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    for (const { pid } of members()) attempt(() => process.kill(pid, 'SIGKILL'))
    for (const folder of guarded.keys()) {
      attempt(() =>
        rmSync(folder, { force: true, maxRetries: 20, recursive: true, retryDelay: 50 }),
      )
    }
  }

  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const { folder, release: isReleased, ...ward } = JSON.parse(line)
      if (isReleased === true) guarded.delete(folder)
      else guarded.set(folder, ward)
    })
    .on('close', () => void endAll())
}
/* oxlint-enable unicorn/consistent-function-scoping */
