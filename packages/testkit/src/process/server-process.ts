import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerStartError } from '../errors.ts'
import { descendantsOf, isAlive, sendSignal, signalTree, standsStill } from './process-tree.ts'
import type { ServerRuntime } from './server-runtime.ts'
import { canReach } from './unprivileged-user.ts'
import { until } from './until.ts'
import { guard, release } from './watchdog.ts'

/** The user that a server runs as, where it must not be the one of this process. */
export interface ProcessUser {
  readonly uid: number
  readonly gid: number
}

/** What is run, and how it is ended. */
export interface ServerProcessSpec {
  /** For error messages, for example `redis on port 12345`. */
  readonly name: string
  /** The temporary folder from {@link createServerFolder}; the process works in it. */
  readonly folder: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly user?: ProcessUser | undefined
  /** Fills the empty data folder, at first and after a wipe. */
  readonly prepare?: (dataFolder: string) => Promise<void>
  /** Removes what a killed server left outside its folder, before its data goes. */
  readonly sweep?: (dataFolder: string) => Promise<void>
  /** Ends the server in good order. @default 'SIGTERM' */
  readonly stopSignal?: NodeJS.Signals
  /** Ends the server at once, without care for data, but without remains outside its folder. @default 'SIGKILL' */
  readonly endSignal?: NodeJS.Signals
}

/** Longest wait for a process to end after a signal that it may handle. */
const END_TIMEOUT_MS = 10_000
const LOG_TAIL_LINES = 15

/** A new temporary folder for one server, under the watchdog from its first moment. */
export async function createServerFolder(kind: string, user?: ProcessUser): Promise<string> {
  const own = await realpath(tmpdir())
  const parent = user === undefined || (await canReach(own, user)) ? own : '/tmp'
  const folder = await mkdtemp(join(parent, `dharma-${kind}-`))
  guard({ folder, signal: 'SIGKILL' })
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  return folder
}

/** Removes a server's folder and takes it off the watchdog. */
export async function removeServerFolder(folder: string): Promise<void> {
  await rm(folder, { force: true, maxRetries: 20, recursive: true, retryDelay: 50 })
  release(folder)
}

/** A server as a process of its own session, its output in a file of its folder. */
export class ServerProcess implements ServerRuntime {
  readonly #spec: ServerProcessSpec
  #child: ChildProcess | undefined
  #isPrepared = false

  constructor(spec: ServerProcessSpec) {
    this.#spec = spec
  }

  get pid(): number | undefined {
    return this.hasEnded ? undefined : this.#child?.pid
  }

  get hasEnded(): boolean {
    const child = this.#child
    return child === undefined || child.exitCode !== null || child.signalCode !== null
  }

  async launch(): Promise<void> {
    const { name, folder, command, args, env, user, prepare, endSignal = 'SIGKILL' } = this.#spec
    const dataFolder = join(folder, 'data')
    if (!this.#isPrepared) {
      await mkdir(dataFolder, { mode: 0o700, recursive: true })
      if (user !== undefined) chownSync(dataFolder, user.uid, user.gid)
      await prepare?.(dataFolder)
      this.#isPrepared = true
    }
    const log = await open(join(folder, 'server.log'), 'a')
    try {
      const child = spawn(command, args, {
        ...user,
        cwd: folder,
        detached: true,
        env: { ...process.env, LC_ALL: 'C', ...env },
        stdio: ['ignore', log.fd, log.fd],
      })
      this.#child = child
      guard({ folder, pid: child.pid, signal: endSignal })
      await once(child, 'spawn').catch((error: unknown) => {
        throw new ServerStartError(name, `could not be launched from ${command}`, '', {
          cause: error,
        })
      })
      child.unref()
    } finally {
      await log.close()
    }
  }

  kill(): Promise<void> {
    return this.#end((pid) => signalTree(pid, 'SIGKILL'))
  }

  terminate(): Promise<void> {
    return this.#end((pid) => {
      const family = [pid, ...descendantsOf([pid])]
      sendSignal(pid, this.#spec.stopSignal ?? 'SIGTERM')
      return family
    })
  }

  async pause(): Promise<void> {
    if (this.pid === undefined) return
    const family = signalTree(this.pid, 'SIGSTOP')
    const stand = (): true | undefined => (family.every(standsStill) ? true : undefined)
    await until(stand, { timeoutMs: END_TIMEOUT_MS, everyMs: 2 })
  }

  async resume(): Promise<void> {
    if (this.pid !== undefined) signalTree(this.pid, 'SIGCONT')
  }

  async wipe(): Promise<void> {
    await this.#sweep()
    await rm(join(this.#spec.folder, 'data'), { force: true, maxRetries: 5, recursive: true })
    this.#isPrepared = false
  }

  async dispose(): Promise<void> {
    await this.#end((pid) => {
      const family = signalTree(pid, 'SIGCONT')
      sendSignal(pid, this.#spec.endSignal ?? 'SIGKILL')
      return family
    })
    await this.#sweep()
    await removeServerFolder(this.#spec.folder)
  }

  async readLog(): Promise<string> {
    const text = await readFile(join(this.#spec.folder, 'server.log'), 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
  }

  async #sweep(): Promise<void> {
    await this.#spec.sweep?.(join(this.#spec.folder, 'data'))
  }

  /** Sends what `signal` sends, then waits for the whole family; whoever outstays the limit is killed. */
  async #end(signal: (pid: number) => readonly number[]): Promise<void> {
    const { folder, endSignal = 'SIGKILL' } = this.#spec
    const { pid } = this
    if (pid === undefined) return
    const family = signal(pid)
    const areGone = (): true | undefined => (family.some(isAlive) ? undefined : true)
    const outcome = await until(areGone, { timeoutMs: END_TIMEOUT_MS, everyMs: 5 })
    if (!outcome.met) {
      family.forEach((member) => sendSignal(member, 'SIGKILL'))
      await until(areGone, { timeoutMs: END_TIMEOUT_MS, everyMs: 5 })
    }
    await until(() => (this.hasEnded ? true : undefined), { timeoutMs: END_TIMEOUT_MS, everyMs: 5 })
    guard({ folder, signal: endSignal })
  }
}
