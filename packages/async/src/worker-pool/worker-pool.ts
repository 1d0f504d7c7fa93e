import { ClosedError, toError, type Timer } from '@dharma/core'
import { dispatch } from './dispatch.ts'
import { PoolQueueFullError, TaskTimeoutError, type CrashLoopError } from './errors.ts'
import { Fleet } from './fleet.ts'
import { sourceOf } from './function-source.ts'
import { PoolCounters } from './pool-counters.ts'
import { PoolFunction } from './pool-function.ts'
import { healthOf, type WorkerPoolHealth } from './pool-health.ts'
import { PoolTask } from './pool-task.ts'
import type { PoolWorker } from './pool-worker.ts'
import { loadOf, statsOf, type PoolLoad, type PoolStats } from './pool-stats.ts'
import { TaskBacklog } from './task-backlog.ts'
import type { TaskArguments, TaskName, TaskProxy, TaskResult } from './task-functions.ts'
import {
  checkPoolOptions,
  checkTaskOptions,
  type CheckedPoolOptions,
  type TaskOptions,
  type WorkerPoolOptions,
} from './worker-pool-options.ts'

/** How to close a {@link WorkerPool}. */
export interface ClosePoolOptions {
  /** Whether tasks that wait or run may end first. @default true */
  readonly drain?: boolean
  /** How long they may take; what is left then is ended. @default 30,000 */
  readonly deadlineMs?: number
}

/** How often it is looked whether tasks wait in a worker that does not get on. */
const PULSE_MS = 10
const FOREVER_MS = 2 ** 30

/**
 * Runs functions in worker threads or child processes. A task that throws, exits, hangs, runs out
 * of memory or corrupts its channel fails alone, with a typed error; its worker is replaced, and
 * what had not begun there runs elsewhere. A task is begun at most once.
 *
 * Arguments and results are cloned, as `structuredClone` does. Arguments must not be changed before
 * the task settles. A pool that has nothing to do does not keep the process alive.
 */
export class WorkerPool<M extends object = object> implements AsyncDisposable {
  /** The module's functions: `pool.tasks.resize([image], { timeoutMs: 500 })`. */
  readonly tasks: TaskProxy<M, TaskOptions>
  readonly #options: CheckedPoolOptions
  readonly #counters: PoolCounters
  readonly #fleet: Fleet
  readonly #backlog: TaskBacklog
  readonly #named = new Map<string, PoolFunction>()
  readonly #sourced = new Map<string, PoolFunction>()
  readonly #sources = new WeakMap<object, PoolFunction>()
  readonly #keepAlive: NodeJS.Timeout
  #functions = 0
  #lastTaskId = 0
  /** Tasks whose callers wait. */
  #awaited = 0
  #isDispatching = false
  #pulse: Timer | undefined
  #shrink: Timer | undefined
  /** Somebody else decides on the size, since `resize` was called. */
  #isResized = false
  #closing: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  /** @throws RangeError or TypeError naming option, limit and value. */
  constructor(options: WorkerPoolOptions = {}) {
    this.#options = checkPoolOptions(options)
    const { name, metrics, agingMs } = this.#options
    this.#counters = new PoolCounters(name, metrics)
    this.#backlog = new TaskBacklog(agingMs)
    this.#fleet = new Fleet(this.#options, this.#counters, {
      onDue: (task) => this.#onDue(task),
      onRoom: (worker) => this.#onRoom(worker),
      onReturned: (tasks) => this.#onReturned(tasks),
      onCrashLoop: (error) => this.#onCrashLoop(error),
    })
    this.#keepAlive = setInterval(() => undefined, FOREVER_MS).unref()
    this.tasks = this.#createProxy()
    this.#fleet.ensure()
  }

  /** Workers that take tasks or are about to. */
  get size(): number {
    return this.#fleet.live.length
  }

  /** Between which sizes {@link resize} may choose. */
  get limits(): { readonly min: number; readonly max: number } {
    return { min: this.#options.min, max: this.#options.max }
  }

  /**
   * Runs an exported function of the module.
   *
   * @throws what the task threw, with its class, fields and causes; else `TaskTimeoutError`,
   * `WorkerExitError`, `WorkerMemoryError`, `WorkerChannelError`, `TaskPayloadError`,
   * `CrashLoopError`, `PoolQueueFullError`, `ClosedError`, or the signal's reason.
   */
  run<K extends TaskName<M>>(
    name: K,
    args: TaskArguments<M, K>,
    options?: TaskOptions,
  ): Promise<TaskResult<M, K>> {
    let fn = this.#named.get(name)
    if (fn === undefined) {
      fn = new PoolFunction(this.#functions++, name, 'name', name)
      this.#named.set(name, fn)
    }
    return this.#submit(fn, args, options) as Promise<TaskResult<M, K>>
  }

  /**
   * Runs a self-contained function: its text goes to the worker, so it sees globals and its
   * arguments, nothing of its surroundings. Give the same function object each time.
   *
   * @throws as {@link run}, and TypeError for what has no text to run: native and bound functions,
   * classes, methods with computed names.
   */
  exec<A extends readonly unknown[], R>(
    fn: (...args: A) => R,
    args: A,
    options?: TaskOptions,
  ): Promise<Awaited<R>> {
    try {
      return this.#submit(this.#functionOf(fn), args, options) as Promise<Awaited<R>>
    } catch (error) {
      return Promise.reject(toError(error))
    }
  }

  /** What an autoscaler looks at. Cheap. */
  load(): PoolLoad {
    return loadOf(this.#fleet, this.#backlog.size, this.#options)
  }

  /** Whether tasks can run. Cheap. */
  health(): WorkerPoolHealth {
    return healthOf(this.#fleet, this.#backlog.size, this.#options, this.#closing !== undefined)
  }

  /** Everything that is counted, each worker's share too. */
  stats(): PoolStats {
    return statsOf(this.#fleet, this.#backlog.size, this.#options)
  }

  /**
   * Sets the size, clipped to {@link limits}; from then on the pool grows and shrinks by this alone.
   * Workers too many finish what they have begun.
   */
  resize(size: number): number {
    const { min, max } = this.#options
    if (!Number.isFinite(size)) throw new RangeError(`size must be a number, not ${size}`)
    const target = Math.min(max, Math.max(min, Math.round(size)))
    this.#isResized = true
    this.#fleet.resize(target)
    return target
  }

  /** Takes no more tasks and ends the workers. A second call waits for the first. */
  close(options: ClosePoolOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close({ drain = true, deadlineMs = 30_000 }: ClosePoolOptions): Promise<void> {
    this.#shrink?.cancel()
    this.#keepAlive.ref()
    if (drain && this.#awaited > 0) {
      await new Promise<void>((resolve) => {
        const deadline = this.#options.clock.setTimeout(resolve, deadlineMs)
        this.#onIdle = () => {
          deadline.cancel()
          resolve()
        }
      })
    }
    const error = new ClosedError(this.#options.name)
    this.#rejectWaiting(error)
    for (const worker of this.#fleet.live) {
      for (const task of worker.held.all()) this.#reject(task, error, 'aborted')
    }
    this.#pulse?.cancel()
    await this.#fleet.close(error)
    clearInterval(this.#keepAlive)
  }

  #submit(
    fn: PoolFunction,
    args: readonly unknown[],
    options: TaskOptions | undefined,
  ): Promise<unknown> {
    const refusal = this.#refusal(options)
    if (refusal !== undefined) {
      this.#counters.count('refused')
      return Promise.reject(refusal.reason)
    }
    const signal = options?.signal
    const task = new PoolTask({
      id: this.#nextTaskId(),
      fn,
      args,
      transfer: options?.transfer?.length === 0 ? undefined : options?.transfer,
      timeoutMs: options?.timeoutMs ?? this.#options.taskTimeoutMs,
      priority: options?.priority ?? 0,
      signal,
      enqueuedMs: this.#options.clock.monotonicMs(),
      onSettled: this.#onSettled,
    })
    if (signal !== undefined) {
      task.onAbort = () => this.#stop(task, signal.reason, 'aborted')
      signal.addEventListener('abort', task.onAbort, { once: true })
    }
    if (this.#awaited++ === 0) this.#keepAlive.ref()
    this.#backlog.push(task)
    this.#scheduleDispatch()
    return task.promise
  }

  /** Why a task is not taken; boxed, since an abort's reason may be anything. */
  #refusal(options: TaskOptions | undefined): { readonly reason: unknown } | undefined {
    const { name, maxQueue } = this.#options
    if (this.#closing !== undefined) return { reason: new ClosedError(name) }
    if (options !== undefined) {
      if (options.signal?.aborted === true) return { reason: options.signal.reason }
      try {
        checkTaskOptions(options)
      } catch (error) {
        return { reason: error }
      }
    }
    if (this.#backlog.size >= maxQueue) dispatch(this.#backlog, this.#fleet.live)
    if (this.#backlog.size >= maxQueue) return { reason: new PoolQueueFullError(name, maxQueue) }
    const loop = this.#fleet.live.length === 0 ? this.#fleet.guard.error : undefined
    return loop === undefined ? undefined : { reason: loop }
  }

  #nextTaskId(): number {
    this.#lastTaskId = this.#lastTaskId === 2 ** 31 - 1 ? 1 : this.#lastTaskId + 1
    return this.#lastTaskId
  }

  #functionOf(fn: (...args: never[]) => unknown): PoolFunction {
    const known = this.#sources.get(fn)
    if (known !== undefined) return known
    const source = sourceOf(fn)
    let made = this.#sourced.get(source)
    if (made === undefined) {
      made = new PoolFunction(this.#functions++, fn.name || 'anonymous', 'source', source)
      this.#sourced.set(source, made)
    }
    this.#sources.set(fn, made)
    return made
  }

  #createProxy(): TaskProxy<M, TaskOptions> {
    const run = this.run.bind(this) as (n: string, a: unknown, o?: TaskOptions) => unknown
    const get = (_target: object, name: string | symbol): unknown =>
      // Not a promise: `await pool.tasks` must not call a task named `then`.
      typeof name === 'symbol' || name === 'then'
        ? undefined
        : (args: unknown, options?: TaskOptions) => run(name, args, options)
    return new Proxy({}, { get }) as TaskProxy<M, TaskOptions>
  }

  /** A worker without anything to do takes what lies ready behind the work of another. */
  #onRoom(worker: PoolWorker): void {
    if (this.#backlog.size === 0 && worker.held.size === 0) {
      this.#fleet.live.find((other) => other.held.hasSpare)?.giveReady()
    }
    this.#scheduleDispatch()
  }

  #scheduleDispatch(): void {
    if (this.#isDispatching || this.#backlog.size === 0) return
    this.#isDispatching = true
    process.nextTick(this.#dispatch)
  }

  readonly #dispatch = (): void => {
    this.#isDispatching = false
    const fleet = this.#fleet
    dispatch(this.#backlog, fleet.live)
    if (this.#backlog.size > 0) this.#grow()
    this.#counters.level(fleet.live.length, this.#backlog.size)
    if (this.#pulse === undefined && fleet.live.some((worker) => worker.held.size > 0)) {
      this.#armPulse()
    }
    if (this.#shrink === undefined && !this.#isResized && fleet.target > this.#options.min) {
      this.#armShrink()
    }
  }

  /** One worker for each task that waits, as far as the limits go. */
  #grow(): void {
    const { max } = this.#options
    const starting = this.#fleet.live.filter((worker) => worker.phase === 'starting').length
    if (!this.#isResized && starting < this.#backlog.size) {
      const wanted = this.#fleet.live.length + this.#backlog.size - starting
      if (wanted > this.#fleet.target) this.#fleet.resize(Math.min(max, wanted))
    }
    this.#fleet.ensure()
  }

  #armPulse(): void {
    const onTimer = (): void => {
      this.#pulse = undefined
      for (const worker of this.#fleet.live) worker.pulse()
      if (this.#fleet.live.some((worker) => worker.held.size > 0)) this.#armPulse()
    }
    this.#pulse = this.#options.clock.setTimeout(onTimer, PULSE_MS, { keepsAlive: false })
  }

  #armShrink(): void {
    const { clock, idleMs, min } = this.#options
    const onTimer = (): void => {
      this.#shrink = undefined
      if (this.#isResized) return
      this.#fleet.shrink(min, idleMs)
      if (this.#fleet.target > min) this.#armShrink()
    }
    this.#shrink = clock.setTimeout(onTimer, idleMs / 2, { keepsAlive: false })
  }

  #onDue(task: PoolTask): void {
    if (task.worker?.hasBegun(task) === false) {
      // Its turn came, and its worker is busy with something else: that is none of its time.
      this.#fleet.deadlines.add(task, this.#options.clock.monotonicMs())
      return
    }
    const facts = { pool: this.#options.name, task: task.fn.name, workerId: task.worker?.id }
    this.#stop(task, new TaskTimeoutError({ ...facts, timeoutMs: task.timeoutMs }), 'timedOut')
  }

  /** The caller has its answer now; the worker is told, and ended if it does not listen. */
  #stop(task: PoolTask, reason: unknown, outcome: 'aborted' | 'timedOut'): void {
    const { worker } = task
    task.stopReason = reason
    if (!this.#reject(task, reason, outcome)) return
    if (worker === undefined) this.#backlog.forget()
    else worker.abort(task, reason)
  }

  #reject(task: PoolTask, reason: unknown, outcome: 'aborted' | 'timedOut' | 'refused'): boolean {
    if (!task.reject(reason)) return false
    this.#counters.count(outcome)
    return true
  }

  #onReturned(tasks: readonly PoolTask[]): void {
    for (const task of tasks.toReversed()) this.#backlog.unshift(task)
    this.#scheduleDispatch()
  }

  #onCrashLoop(error: CrashLoopError): void {
    if (this.#fleet.live.length === 0) this.#rejectWaiting(error)
  }

  #rejectWaiting(error: Error): void {
    for (let task = this.#backlog.shift(); task !== undefined; task = this.#backlog.shift()) {
      this.#reject(task, error, 'refused')
    }
  }

  readonly #onSettled = (): void => {
    if (--this.#awaited > 0) return
    if (this.#closing === undefined) this.#keepAlive.unref()
    this.#onIdle?.()
  }
}

/** A pool over the exports of a module: `createWorkerPool<typeof import('./work.ts')>(url, …)`. */
export function createWorkerPool<M extends object>(
  module: URL | string,
  options: Omit<WorkerPoolOptions, 'module'> = {},
): WorkerPool<M> {
  return new WorkerPool<M>({ ...options, module })
}
