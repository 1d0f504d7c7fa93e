import { ClosedError, DharmaError, type Clock } from '@dharma/core'
import pLimit, { type LimitFunction } from 'p-limit'
import { withTimeout, type CallContext } from '../resilience/with-timeout.ts'

/** What a background task may be told. */
export interface BackgroundOptions<T> {
  /** What reports and metrics call it; few different names. @default 'task' */
  readonly name?: string
  /** From its start, not while it waits for a slot; above 0, in milliseconds. @default Infinity */
  readonly timeoutMs?: number
  /** Called with the result, and awaited as part of the task. */
  readonly onSuccess?: ((value: T) => unknown) | undefined
  /** Called with the error, and awaited as part of the task. Without it the error is reported. */
  readonly onError?: ((error: unknown) => unknown) | undefined
  /** Called after either, and awaited as part of the task. */
  readonly onSettled?: ((result: PromiseSettledResult<T>) => unknown) | undefined
}

/** A task that nobody has to wait for. */
export interface BackgroundTask<T> {
  readonly name: string
  /** How it ended, after its callbacks. Never rejects. */
  readonly settled: Promise<PromiseSettledResult<T>>
  /** Aborts its signal; it counts as failed with that reason at once. */
  cancel(reason?: unknown): void
}

/** What became of the background tasks at shutdown. */
export interface DrainResult {
  /** Tasks that ended on their own while the drain waited. */
  readonly finished: number
  /** Tasks that were aborted at the deadline. */
  readonly aborted: number
}

/** There are as many background tasks as may be; this one was not taken. */
export class BackgroundFullError extends DharmaError {
  override readonly name = 'BackgroundFullError'
  readonly code = 'DHARMA_BACKGROUND_FULL'
  readonly maxTasks: number

  constructor(maxTasks: number, options?: ErrorOptions) {
    super(`there are ${maxTasks} background tasks already`, options)
    this.maxTasks = maxTasks
  }
}

/** Where {@link BackgroundTasks} gets what it needs; checked by its owner. */
export interface BackgroundTasksOptions {
  readonly component: string
  readonly concurrency: number
  readonly maxTasks: number
  readonly clock: Clock
  /** Told of errors that no callback took: a task's own, and those of callbacks. Must not throw. */
  readonly report: (error: unknown, taskName: string) => void
}

/** Tracked tasks: bounded in number, so many at once, never an unhandled rejection, drained at the end. */
export class BackgroundTasks {
  readonly #options: BackgroundTasksOptions
  readonly #limit: LimitFunction
  readonly #running = new Map<BackgroundTask<unknown>, Promise<unknown>>()
  #isClosed = false
  #finished = 0

  constructor(options: BackgroundTasksOptions) {
    this.#options = options
    this.#limit = pLimit(options.concurrency)
  }

  /** Tasks that have not settled, those that wait for a slot included. */
  get size(): number {
    return this.#running.size
  }

  /**
   * @throws ClosedError once the drain has begun.
   * @throws BackgroundFullError when there are `maxTasks` already.
   */
  start<T>(
    fn: (context: CallContext) => T | PromiseLike<T>,
    options: BackgroundOptions<T>,
  ): BackgroundTask<T> {
    const { component, maxTasks } = this.#options
    const { name = 'task', timeoutMs = Infinity } = options
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    if (this.#isClosed) throw new ClosedError(component)
    if (this.#running.size >= maxTasks) throw new BackgroundFullError(maxTasks)
    const controller = new AbortController()
    const settled = this.#run(fn, options, controller.signal)
    const cancel = (reason?: unknown): void => controller.abort(reason)
    const task: BackgroundTask<T> = { name, settled, cancel }
    this.#running.set(task, this.#forget(task))
    return task
  }

  /** Takes no new tasks and waits for those there are; at the deadline aborts the rest. */
  async drain(deadlineMs: number): Promise<DrainResult> {
    this.#isClosed = true
    const finishedBefore = this.#finished
    const { clock, component } = this.#options
    if (deadlineMs > 0) {
      try {
        await withTimeout(() => this.#allSettled(), deadlineMs, { clock })
      } catch {
        // Only the deadline can be caught here: tasks never reject.
      }
    }
    const finished = this.#finished - finishedBefore
    const aborted = this.#running.size
    for (const task of this.#running.keys()) task.cancel(new ClosedError(component))
    return { finished, aborted }
  }

  async #allSettled(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  async #forget(task: BackgroundTask<unknown>): Promise<void> {
    await task.settled
    this.#running.delete(task)
    this.#finished += 1
  }

  async #run<T>(
    fn: (context: CallContext) => T | PromiseLike<T>,
    options: BackgroundOptions<T>,
    signal: AbortSignal,
  ): Promise<PromiseSettledResult<T>> {
    const { name = 'task', onSuccess, onError, onSettled } = options
    const result = await this.#outcome(fn, options, signal)
    if (result.status === 'fulfilled') {
      await this.#call(name, onSuccess, result.value)
    } else if (onError === undefined) {
      this.#options.report(result.reason, name)
    } else {
      await this.#call(name, onError, result.reason)
    }
    await this.#call(name, onSettled, result)
    return result
  }

  async #outcome<T>(
    fn: (context: CallContext) => T | PromiseLike<T>,
    { name = 'task', timeoutMs = Infinity }: BackgroundOptions<T>,
    signal: AbortSignal,
  ): Promise<PromiseSettledResult<T>> {
    const { clock } = this.#options
    const call = async (): Promise<T> => {
      signal.throwIfAborted()
      return withTimeout(fn, timeoutMs, { operation: name, signal, clock })
    }
    try {
      const wait = (): Promise<T> => this.#limit(call)
      return { status: 'fulfilled', value: await withTimeout(wait, Infinity, { signal, clock }) }
    } catch (error) {
      return { status: 'rejected', reason: error }
    }
  }

  async #call<A>(
    name: string,
    callback: ((value: A) => unknown) | undefined,
    value: A,
  ): Promise<void> {
    try {
      await callback?.(value)
    } catch (error) {
      this.#options.report(error, name)
    }
  }
}
