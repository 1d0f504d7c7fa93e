import { systemClock, type Clock, type Metrics } from '@dharma/core'
import { availableParallelism } from 'node:os'
import type { Transferable } from 'node:worker_threads'
import type { PoolResourceLimits } from './channel.ts'
import type { ErrorClass } from './error-decoder.ts'
import type { WorkerEndReason } from './worker-owner.ts'

/** Options of one task. */
export interface TaskOptions {
  /** How long it may run, counted from when its turn came; 0 is without limit. @default the pool's `taskTimeoutMs` */
  readonly timeoutMs?: number
  /** Ends the wait with the signal's reason, and aborts the `signal` of the task's context. */
  readonly signal?: AbortSignal | undefined
  /** Higher goes first: a whole number, -10 to 10. Waiting counts too, see `agingMs`. @default 0 */
  readonly priority?: number
  /** What moves to the worker instead of being copied. Such a task is not sent twice. @default nothing */
  readonly transfer?: readonly Transferable[]
}

/** When a worker is replaced by a fresh one; each limit counts, none is set by default. */
export interface RecycleOptions {
  /** Tasks that it has run. At least 1. */
  readonly tasks?: number
  /** Heap and buffers that it holds between tasks. At least 1. */
  readonly heapBytes?: number
  /** Time since its start. At least 1. */
  readonly ageMs?: number
}

/** What a pool reports; a listener that throws is ignored. */
export type WorkerPoolEvent =
  | { readonly type: 'worker-ready'; readonly workerId: number; readonly startMs: number }
  | {
      readonly type: 'worker-ended'
      readonly workerId: number
      readonly reason: WorkerEndReason
      readonly error: unknown
    }
  /** Thrown in a worker where no running task answers for it; that worker is replaced. */
  | { readonly type: 'late-error'; readonly workerId: number; readonly error: unknown }
  | { readonly type: 'crash-loop'; readonly crashes: number; readonly retryAfterMs: number }

/** Options of a {@link WorkerPool}. */
export interface WorkerPoolOptions {
  /** The module whose exports are the tasks. @default none: only `exec` */
  readonly module?: URL | string
  /** Threads share the process and start faster; processes survive what ends a whole process. @default 'thread' */
  readonly kind?: 'thread' | 'process'
  /** For errors, metrics and thread names. @default 'worker-pool' */
  readonly name?: string
  /** Workers kept when there is nothing to do. 0 to `max`. @default 1 */
  readonly min?: number
  /** Workers at most. At least 1. @default the machine's parallelism */
  readonly max?: number
  /** Tasks that a worker runs at once; above 1 only for tasks that wait. 1 to 1,000. @default 1 */
  readonly concurrencyPerWorker?: number
  /** Tasks that may wait for a worker. At least 1. @default 100,000 */
  readonly maxQueue?: number
  /** {@link TaskOptions.timeoutMs} of tasks that set none; 0 is without limit. @default 0 */
  readonly taskTimeoutMs?: number
  /** How long a worker may take to load its module. At least 1. @default 10,000 */
  readonly startTimeoutMs?: number
  /** How long a worker above `min` may be idle. At least 1. @default 30,000 */
  readonly idleMs?: number
  /** How long a task that was aborted or timed out may take to stop before its worker is ended. @default 1,000 */
  readonly abortGraceMs?: number
  /** How long its worker may take to answer at all; one stuck in a loop does not. @default 25 */
  readonly unresponsiveMs?: number
  /** Waiting that weighs as much as one step of priority. At least 1. @default 1,000 */
  readonly agingMs?: number
  /** Memory of each worker. */
  readonly resourceLimits?: PoolResourceLimits
  readonly recycle?: RecycleOptions
  /** Crashes in a row, without a task to blame, that make a crash loop. At least 1. @default 5 */
  readonly maxCrashes?: number
  /** Pause after a crash loop; doubles each time up to 30 times as long. At least 1. @default 1,000 */
  readonly crashPauseMs?: number
  /** Node's own options for the workers. @default those of this process */
  readonly execArgv?: readonly string[]
  /** The workers' environment. @default this process's */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Classes that errors of tasks are to be instances of. @default the built-in ones and DharmaError's */
  readonly errorClasses?: readonly ErrorClass[]
  readonly onEvent?: (event: WorkerPoolEvent) => void
  readonly clock?: Clock
  readonly metrics?: Metrics
}

/** The options with everything decided. */
export type CheckedPoolOptions = Required<
  Omit<WorkerPoolOptions, 'module' | 'execArgv' | 'env' | 'onEvent' | 'metrics'>
> & {
  readonly module: string | undefined
  readonly execArgv: readonly string[] | undefined
  readonly env: Readonly<Record<string, string | undefined>> | undefined
  readonly onEvent: ((event: WorkerPoolEvent) => void) | undefined
  readonly metrics: Metrics | undefined
}

/** @throws RangeError naming option, limit and value. */
export function checkPoolOptions(options: WorkerPoolOptions): CheckedPoolOptions {
  const max = options.max ?? availableParallelism()
  const checked: CheckedPoolOptions = {
    module: options.module === undefined ? undefined : String(options.module),
    kind: options.kind ?? 'thread',
    name: options.name ?? 'worker-pool',
    max,
    min: options.min ?? Math.min(1, max),
    concurrencyPerWorker: options.concurrencyPerWorker ?? 1,
    maxQueue: options.maxQueue ?? 100_000,
    taskTimeoutMs: options.taskTimeoutMs ?? 0,
    startTimeoutMs: options.startTimeoutMs ?? 10_000,
    idleMs: options.idleMs ?? 30_000,
    abortGraceMs: options.abortGraceMs ?? 1000,
    unresponsiveMs: options.unresponsiveMs ?? 25,
    agingMs: options.agingMs ?? 1000,
    resourceLimits: options.resourceLimits ?? {},
    recycle: options.recycle ?? {},
    maxCrashes: options.maxCrashes ?? 5,
    crashPauseMs: options.crashPauseMs ?? 1000,
    execArgv: options.execArgv,
    env: options.env,
    errorClasses: options.errorClasses ?? [],
    onEvent: options.onEvent,
    clock: options.clock ?? systemClock,
    metrics: options.metrics,
  }
  if (checked.kind !== 'thread' && checked.kind !== 'process') {
    throw new TypeError(`kind must be 'thread' or 'process', not ${String(checked.kind)}`)
  }
  checkInteger('max', checked.max, 1, 10_000)
  checkInteger('min', checked.min, 0, checked.max)
  checkInteger('concurrencyPerWorker', checked.concurrencyPerWorker, 1, 1000)
  checkInteger('maxQueue', checked.maxQueue, 1)
  checkInteger('maxCrashes', checked.maxCrashes, 1)
  checkNumber('taskTimeoutMs', checked.taskTimeoutMs, 0)
  checkNumber('startTimeoutMs', checked.startTimeoutMs, 1)
  checkNumber('idleMs', checked.idleMs, 1)
  checkNumber('abortGraceMs', checked.abortGraceMs, 0)
  checkNumber('unresponsiveMs', checked.unresponsiveMs, 0)
  checkNumber('agingMs', checked.agingMs, 1)
  checkNumber('crashPauseMs', checked.crashPauseMs, 1)
  for (const [key, value] of Object.entries({ ...checked.recycle, ...checked.resourceLimits })) {
    if (value !== undefined) checkNumber(key, value, 1)
  }
  return checked
}

/** @throws RangeError naming option, limit and value. */
export function checkTaskOptions(options: TaskOptions): void {
  if (options.timeoutMs !== undefined) checkNumber('timeoutMs', options.timeoutMs, 0)
  if (options.priority !== undefined) checkInteger('priority', options.priority, -10, 10)
}

function checkInteger(name: string, value: number, least: number, most = 2 ** 31 - 1): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${value}`)
}

function checkNumber(name: string, value: number, least: number, most = 2 ** 31 - 1): void {
  if (value >= least && value <= most) return
  throw new RangeError(`${name} must be from ${least} to ${most}, not ${value}`)
}
