import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import {
  entryUrl,
  type Channel,
  type ChannelEvents,
  type ChannelOptions,
  type Revocation,
} from './channel.ts'
import { frameOf, FrameReader } from './frames.ts'
import {
  REPLIES_FD,
  REVOKED,
  STARTED,
  TASKS_FD,
  WATCHDOG_FD,
  type PoolMessage,
} from './protocol.ts'

/** What V8 says on standard error before it ends a process without memory. */
const OUT_OF_MEMORY = /heap out of memory|heap limit|Allocation failed/
const TAIL_CHARS = 4096
/** How often the size of a semi-space fits the young objects: V8 counts large ones as a third. */
const SEMI_SPACES = 3
/** How long the last words of a process that aborted may take. */
const LAST_WORDS_MS = 250

/**
 * A child process, spoken to over pipes of its own: tasks go in, replies come out, and its watchdog
 * thread has a third, by which it also learns that this process is gone.
 */
export class ProcessChannel implements Channel {
  readonly decidesAtOnce = false
  readonly #child: ChildProcess
  readonly #events: ChannelEvents
  readonly #tasks: Socket
  readonly #watchdog: Socket
  /** By slot, the last task that was begun there. */
  readonly #started: number[] = []
  #stderr = ''
  #error: unknown

  constructor(options: ChannelOptions, events: ChannelEvents) {
    this.#events = events
    const { maxHeapMb, maxYoungHeapMb } = options.resourceLimits
    const execArgv = [
      ...(options.execArgv ?? process.execArgv.filter((flag) => !flag.startsWith('--inspect'))),
      ...(maxHeapMb === undefined ? [] : [`--max-old-space-size=${Math.ceil(maxHeapMb)}`]),
      ...(maxYoungHeapMb === undefined
        ? []
        : [`--max-semi-space-size=${Math.ceil(maxYoungHeapMb / SEMI_SPACES)}`]),
    ]
    const entry = fileURLToPath(entryUrl('process-entry'))
    this.#child = spawn(
      process.execPath,
      [...execArgv, entry, JSON.stringify(options.setup), options.name],
      {
        stdio: ['ignore', 'inherit', 'pipe', 'pipe', 'pipe', 'pipe'],
        env: { ...(options.env ?? process.env) },
        windowsHide: true,
      },
    )
    this.#tasks = this.#pipe(TASKS_FD)
    this.#watchdog = this.#pipe(WATCHDOG_FD)
    const replies = this.#pipe(REPLIES_FD)
    this.#read(replies)
    this.#read(this.#watchdog)
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk)
      this.#stderr = (this.#stderr + chunk.toString('latin1')).slice(-TAIL_CHARS)
    })
    this.#child.on('error', (error) => {
      this.#error = error
      if (this.#child.pid === undefined) this.#exited(undefined, undefined)
    })
    void this.#awaitExit(replies)
    // The pool itself keeps this process alive, and only while somebody waits for a task.
    this.#child.unref()
    ;(this.#child.stderr as Socket | null)?.unref()
  }

  offer(slot: number): void {
    this.#started[slot] = 0
  }

  revoke(slot: number, ticket: number): Revocation {
    if (this.#started[slot] === ticket) return 'begun'
    this.#watchdog.write(frameOf([REVOKED, ticket, slot]))
    return 'asked'
  }

  hasStarted(slot: number, ticket: number): boolean {
    return this.#started[slot] === ticket
  }

  send(message: PoolMessage): void {
    this.#tasks.write(frameOf(message))
  }

  /** Nothing lies in shared memory. */
  drain(): void {}

  terminate(): void {
    this.#child.kill('SIGKILL')
  }

  #pipe(fd: number): Socket {
    const socket = this.#child.stdio[fd] as Socket
    // A pipe breaks when the child ends, and that is told by its exit.
    socket.on('error', (error) => {
      this.#error ??= (error as NodeJS.ErrnoException).code === 'EPIPE' ? undefined : error
    })
    socket.unref()
    return socket
  }

  #read(socket: Socket): void {
    const reader = new FrameReader()
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.read(chunk, (message) => this.#receive(message))
      } catch (error) {
        socket.destroy()
        this.#events.onCorrupt(error)
      }
    })
  }

  #receive(message: unknown): void {
    if (Array.isArray(message) && message[0] === STARTED) {
      this.#started[message[2] as number] = message[1] as number
    }
    this.#events.onMessage(message)
  }

  /** The exit itself, then everything that was written before it. */
  async #awaitExit(replies: Socket): Promise<void> {
    const closed = new Promise<void>((resolve) => replies.once('close', () => resolve()))
    const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
      (resolve) => this.#child.once('exit', (code, name) => resolve([code, name])),
    )
    await closed
    const { stderr } = this.#child
    if (signal === 'SIGABRT' && stderr !== null && !stderr.readableEnded) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LAST_WORDS_MS)
        stderr.once('close', () => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    this.#exited(exitCode ?? undefined, signal ?? undefined)
  }

  #exited(exitCode: number | undefined, signal: string | undefined): void {
    const isOutOfMemory = signal === 'SIGABRT' && OUT_OF_MEMORY.test(this.#stderr)
    this.#tasks.destroy()
    this.#watchdog.destroy()
    this.#events.onExit({ exitCode, signal, isOutOfMemory, error: this.#error })
  }
}
