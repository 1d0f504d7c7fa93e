import { existsSync } from 'node:fs'
import type { Transferable } from 'node:worker_threads'
import type { PoolMessage, WorkerSetup } from './protocol.ts'

/** How a worker ended, as far as its channel can tell. */
export interface ChannelExit {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly isOutOfMemory: boolean
  /** What ended it, if it was thrown outside of every task. */
  readonly error?: unknown
}

/** What a channel tells its owner. Nothing follows `onExit`. */
export interface ChannelEvents {
  /** Whatever came out of the worker, not looked at yet. Throws at what only looks like a message. */
  onMessage(message: unknown): void
  /** What came out cannot even be read. */
  onCorrupt(cause: unknown): void
  onExit(exit: ChannelExit): void
}

/** How to start a worker. */
export interface ChannelOptions {
  readonly setup: WorkerSetup
  readonly name: string
  readonly resourceLimits: PoolResourceLimits
  readonly execArgv: readonly string[] | undefined
  readonly env: Readonly<Record<string, string | undefined>> | undefined
}

/** Limits of each worker's memory. */
export interface PoolResourceLimits {
  /**
   * Heap of long-lived objects: a task that needs more fails with `WorkerMemoryError`. A thread has
   * 16 MB beyond it to end in: one string or array that is larger than that and does not fit ends
   * the whole process, as in any worker thread of Node. Tasks that make such belong in a process.
   * @default V8's own
   */
  readonly maxHeapMb?: number
  /**
   * Heap of young objects. Threads with more than 40 may take the whole process along when they run
   * out of heap, since V8 promotes a third of it at once. @default 24 for threads, V8's own for processes
   */
  readonly maxYoungHeapMb?: number
  /** Stack, for threads only. @default 4 */
  readonly stackMb?: number
}

/** `asked`: either it is begun, or a `REVOKED` follows. */
export type Revocation = 'revoked' | 'begun' | 'asked'

/** One worker, thread or process, as its pool talks to it. */
export interface Channel {
  /** Whether {@link revoke} decides at once. */
  readonly decidesAtOnce: boolean
  /** The slot holds this task from now on. */
  offer(slot: number, ticket: number): void
  /** Takes a task back, unless it was begun. */
  revoke(slot: number, ticket: number): Revocation
  /** Whether the worker began this task; certain once it has ended. */
  hasStarted(slot: number, ticket: number): boolean
  /** @throws DOMException when the message cannot be cloned; nothing was sent then. */
  send(message: PoolMessage, transfer?: readonly Transferable[]): void
  /** Hands over the results that lie in shared memory. */
  drain(onResult: (slot: number, value: unknown, durationMs: number) => void): void
  /** Ends the worker at once, whatever it does. `onExit` follows. */
  terminate(): void
}

/** Where a worker's first file lies, beside this one in the sources and in the build. */
export function entryUrl(name: 'thread-entry' | 'process-entry' | 'watchdog-entry'): URL {
  if (import.meta.url.endsWith('.ts')) return new URL(`./${name}.ts`, import.meta.url)
  const beside = new URL(`./${name}.js`, import.meta.url)
  // A chunk that several entries share lies one folder higher than the entries.
  return existsSync(beside) ? beside : new URL(`./worker-pool/${name}.js`, import.meta.url)
}
