import { noopMetrics, systemClock, toError } from '@dharma/core'
import type { BoundCounter, Clock, Metrics } from '@dharma/core'
import { hedge, type HedgeOptions } from '../resilience/hedge.ts'
import { Policy, type PolicyOptions } from '../resilience/policy.ts'
import { RetryBudget } from '../resilience/retry-budget.ts'
import {
  retryWith,
  type AttemptContext,
  type RetryDefaults,
  type RetryOptions,
} from '../resilience/retry.ts'
import { withTimeout, type CallContext, type TimeoutOptions } from '../resilience/with-timeout.ts'
import {
  BackgroundTasks,
  type BackgroundOptions,
  type BackgroundTask,
  type DrainResult,
} from './background-tasks.ts'
import type { TaskOptions } from '../worker-pool/index.ts'
import { mapBatch, type MapBatch } from './map-batch.ts'
import { mapStream, type MapStream } from './map-stream.ts'
import { WorkerTasks, type WorkerTask, type WorkerTaskPoolOptions } from './worker-tasks.ts'

/** Options of {@link AsyncManager}. */
export interface AsyncManagerOptions {
  /** What errors and metrics call it. @default 'async-manager' */
  readonly name?: string
  /** @default systemClock */
  readonly clock?: Clock
  /** Uniform in [0, 1): for jitter. @default Math.random */
  readonly random?: () => number
  /** @default none */
  readonly metrics?: Metrics
  /** Shared by all retries and hedges made through this manager. @default a RetryBudget of 10 % */
  readonly retryBudget?: RetryBudget
  /** Background tasks that run at once; more wait. At least 1. @default 64 */
  readonly backgroundConcurrency?: number
  /** Background tasks that are kept, the waiting ones included. At least 1. @default 10_000 */
  readonly maxBackgroundTasks?: number
  /** Told of background errors that no `onError` took. @default process.emitWarning */
  readonly onBackgroundError?: (error: unknown, taskName: string) => void
  /** Of the pools behind {@link AsyncManager.runInThread}. @default those of WorkerPool, `min` 0 */
  readonly threads?: WorkerTaskPoolOptions
  /** Of the pools behind {@link AsyncManager.runInProcess}. @default those of WorkerPool, `min` 0 */
  readonly processes?: WorkerTaskPoolOptions
}

/** Options of {@link AsyncManager.close}. */
export interface CloseOptions {
  /** How long tasks may go on, in milliseconds; 0 ends them at once. @default 10_000 */
  readonly deadlineMs?: number
}

/**
 * Bounded, retried, timed and tracked asynchronous work of one service, with one clock, one retry
 * budget and one shutdown.
 */
export class AsyncManager implements AsyncDisposable {
  readonly retryBudget: RetryBudget
  readonly #clock: Clock
  readonly #random: () => number
  readonly #metrics: Metrics
  readonly #background: BackgroundTasks
  readonly #retryDefaults: RetryDefaults
  readonly #hedges: BoundCounter
  readonly #backgroundErrors: BoundCounter
  readonly #backgroundGauge: Disposable
  readonly #threads: WorkerTasks
  readonly #processes: WorkerTasks
  readonly #onBackgroundError: (error: unknown, taskName: string) => void
  #closing: Promise<DrainResult> | undefined

  /** `mapBatch` of this subpath. */
  readonly mapBatch: MapBatch = mapBatch
  /** `mapStream` of this subpath. */
  readonly mapStream: MapStream = mapStream

  /** @throws RangeError when an option is out of its range. */
  constructor(options: AsyncManagerOptions = {}) {
    const { name = 'async-manager', clock = systemClock, random = Math.random } = options
    const { metrics = noopMetrics } = options
    const { backgroundConcurrency = 64, maxBackgroundTasks = 10_000 } = options
    checkCount('backgroundConcurrency', backgroundConcurrency)
    checkCount('maxBackgroundTasks', maxBackgroundTasks)
    this.#clock = clock
    this.#random = random
    this.#metrics = metrics
    this.retryBudget = options.retryBudget ?? new RetryBudget({ clock })
    this.#onBackgroundError = options.onBackgroundError ?? warnOfBackgroundError
    this.#background = new BackgroundTasks({
      component: name,
      concurrency: backgroundConcurrency,
      maxTasks: maxBackgroundTasks,
      clock,
      report: (error, taskName) => this.#report(error, taskName),
    })
    const workers = { component: name, clock, metrics: options.metrics }
    this.#threads = new WorkerTasks({ ...workers, kind: 'thread', pool: options.threads ?? {} })
    this.#processes = new WorkerTasks({
      ...workers,
      kind: 'process',
      pool: options.processes ?? {},
    })
    const labels = ['manager']
    const retries = metrics
      .counter('dharma_async_manager_retries_total', {
        help: 'Calls made again after an error by AsyncManager.retry.',
        labels,
      })
      .bind(name)
    const { retryBudget: budget } = this
    this.#retryDefaults = { clock, random, budget, count: () => retries.inc() }
    this.#hedges = metrics
      .counter('dharma_async_hedges_total', {
        help: 'Further calls made because an answer was late.',
        labels,
      })
      .bind(name)
    this.#backgroundErrors = metrics
      .counter('dharma_async_background_errors_total', {
        help: 'Errors of background tasks that no callback took.',
        labels,
      })
      .bind(name)
    this.#backgroundGauge = metrics
      .gauge('dharma_async_background_tasks', {
        help: 'Background tasks that run or wait for a slot.',
        labels,
      })
      .readFrom(() => this.#background.size, name)
  }

  /** `retry` with this manager's clock, randomness and budget, unless `options` say otherwise. */
  retry<T>(
    fn: (context: AttemptContext) => T | PromiseLike<T>,
    options: RetryOptions = {},
  ): Promise<T> {
    return retryWith(this.#retryDefaults, fn, options)
  }

  /** `hedge` with this manager's clock and budget, unless `options` say otherwise. */
  hedge<T>(fn: (context: AttemptContext) => T | PromiseLike<T>, options: HedgeOptions): Promise<T> {
    return hedge(fn, {
      clock: this.#clock,
      budget: this.retryBudget,
      ...options,
      onHedge: (attempt) => {
        this.#hedges.inc()
        options.onHedge?.(attempt)
      },
    })
  }

  /** A policy with this manager's clock, randomness, metrics and budget. Make it once per service. */
  policy(options: PolicyOptions): Policy {
    const { retry: retryOptions, ...rest } = options
    const shared = { clock: this.#clock, random: this.#random, metrics: this.#metrics, ...rest }
    if (retryOptions === undefined) return new Policy(shared)
    return new Policy({ ...shared, retry: { budget: this.retryBudget, ...retryOptions } })
  }

  /** `withTimeout` with this manager's clock. */
  withTimeout<T>(
    fn: (context: CallContext) => T | PromiseLike<T>,
    timeoutMs: number,
    options?: TimeoutOptions,
  ): Promise<T> {
    return withTimeout(fn, timeoutMs, { clock: this.#clock, ...options })
  }

  /**
   * Starts a task that nobody waits for. It never causes an unhandled rejection: an error goes to
   * `onError`, or else to the manager's `onBackgroundError`.
   *
   * @throws ClosedError once the manager is closing.
   * @throws BackgroundFullError when there are `maxBackgroundTasks` already.
   */
  background<T>(
    fn: (context: CallContext) => T | PromiseLike<T>,
    options: BackgroundOptions<T> = {},
  ): BackgroundTask<T> {
    return this.#background.start(fn, options)
  }

  /**
   * Runs a function in a worker thread, so that it does not hold up the event loop: a self-contained
   * one (it sees globals and its arguments only), or a module's (`moduleTasks`). A pool is opened
   * with the first task of its kind; arguments and results are cloned.
   *
   * @throws what the function threw, with its class, fields and causes; else the errors of
   * `WorkerPool.run`. ClosedError once the manager is closing.
   */
  runInThread<A extends readonly unknown[], R>(
    task: WorkerTask<A, R>,
    args: A,
    options?: TaskOptions,
  ): Promise<Awaited<R>> {
    return this.#threads.run(task, args, options)
  }

  /** {@link runInThread} in a child process: survives what ends a whole process, costs more. */
  runInProcess<A extends readonly unknown[], R>(
    task: WorkerTask<A, R>,
    args: A,
    options?: TaskOptions,
  ): Promise<Awaited<R>> {
    return this.#processes.run(task, args, options)
  }

  /** Takes no new tasks, waits for those there are, ends the rest at the deadline. */
  close({ deadlineMs = 10_000 }: CloseOptions = {}): Promise<DrainResult> {
    this.#closing ??= this.#end(deadlineMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #end(deadlineMs: number): Promise<DrainResult> {
    const [result] = await Promise.all([
      this.#background.drain(deadlineMs),
      this.#threads.close(deadlineMs),
      this.#processes.close(deadlineMs),
    ])
    this.#backgroundGauge[Symbol.dispose]()
    return result
  }

  #report(error: unknown, taskName: string): void {
    this.#backgroundErrors.inc()
    try {
      this.#onBackgroundError(error, taskName)
    } catch (reportError) {
      warnOfBackgroundError(reportError, taskName)
    }
  }
}

/** The same as `new AsyncManager(options)`. */
export function createAsyncManager(options?: AsyncManagerOptions): AsyncManager {
  return new AsyncManager(options)
}

function checkCount(option: string, value: number): void {
  if (value >= 1 && (Number.isInteger(value) || value === Infinity)) return
  throw new RangeError(`${option} must be a whole number of at least 1, got ${value}`)
}

function warnOfBackgroundError(error: unknown, taskName: string): void {
  process.emitWarning(`background ${taskName} failed: ${toError(error).message}`)
}
