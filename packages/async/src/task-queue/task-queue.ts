import { ClosedError, TimeoutError, type Clock, type Metrics } from '@dharma/core'
import type { Task } from './define-task.ts'
import { TaskFailedError, TaskPayloadError } from './errors.ts'
import { memory } from './memory/memory-engine.ts'
import type { JobPriority, NewJob, QueueCounts, QueueEngine } from './queue-engine.ts'
import { TaskWorker, type WorkOptions } from './task-worker.ts'

export interface TaskQueueOptions {
  /** @default memory(), which lives and dies with the process */
  readonly engine?: QueueEngine
  /** Encoded bytes of an input at most. At least 1. @default 1 MiB */
  readonly maxInputBytes?: number
  readonly metrics?: Metrics
  /** @default systemClock */
  readonly clock?: Clock
  /** Uniform in [0, 1): jitter of backoff. @default Math.random */
  readonly random?: () => number
}

export interface EnqueueOptions {
  /** @default 'normal' */
  readonly priority?: JobPriority
  /** Not to be run before this many milliseconds have passed. At least 0. @default 0 */
  readonly delayMs?: number
  /** While a job with this key is unfinished, no other is stored: the handle is that job's. */
  readonly deduplicate?: string
}

/** A job that was enqueued. */
export interface JobHandle<Result> {
  readonly id: string
  /**
   * What the task returned, wherever it ran.
   * @throws TaskFailedError, TimeoutError, or the signal's reason
   */
  result(options?: ResultOptions): Promise<Result>
}

export interface ResultOptions {
  /** Longest wait. Above 0. @default 60_000 */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

/** A queue of typed tasks on the engine given. */
export function createTaskQueue(options: TaskQueueOptions = {}): TaskQueue {
  return new TaskQueue(options)
}

/** Typed tasks in, typed results out; where jobs live is the engine's matter. */
export class TaskQueue implements AsyncDisposable {
  readonly #engine: QueueEngine
  readonly #maxInputBytes: number
  readonly #options: TaskQueueOptions
  readonly #workers = new Set<TaskWorker>()
  #isClosed = false

  /** @throws RangeError naming option, limit and value */
  constructor(options: TaskQueueOptions = {}) {
    const { engine = memory(), maxInputBytes = 1024 * 1024 } = options
    if (!(maxInputBytes >= 1)) {
      throw new RangeError(`maxInputBytes must be at least 1, got ${maxInputBytes}`)
    }
    this.#engine = engine
    this.#maxInputBytes = maxInputBytes
    this.#options = options
  }

  /**
   * Stores a job; when the promise resolves, the engine has acknowledged it.
   * @throws TaskInputError, TaskPayloadError, RangeError for a wrong option
   */
  async enqueue<Input, Result>(
    task: Task<Input, Result>,
    input: NoInfer<Input>,
    options: EnqueueOptions = {},
  ): Promise<JobHandle<Result>> {
    const [handle] = await this.#enqueueAll(task, [input], options)
    if (handle === undefined) throw new TypeError('the engine returned no id')
    return handle
  }

  /** Stores a job for each input, in one call to the engine; all are checked before one is stored. */
  async enqueueMany<Input, Result>(
    task: Task<Input, Result>,
    inputs: readonly NoInfer<Input>[],
    options: Omit<EnqueueOptions, 'deduplicate'> = {},
  ): Promise<JobHandle<Result>[]> {
    return this.#enqueueAll(task, inputs, options)
  }

  /** Starts a worker for these tasks in this process. */
  work(tasks: readonly Task[], options: WorkOptions = {}): TaskWorker {
    if (this.#isClosed) throw new ClosedError('the task queue')
    const { metrics, clock, random } = this.#options
    const worker = new TaskWorker({
      ...options,
      engine: this.#engine,
      tasks,
      metrics,
      ...(clock === undefined ? {} : { clock }),
      ...(random === undefined ? {} : { random }),
    })
    this.#workers.add(worker)
    return worker
  }

  /** How many jobs of a queue are in which state. */
  async counts(queue = 'default'): Promise<QueueCounts> {
    return this.#engine.counts(queue)
  }

  /** Closes the workers started here, in time for their jobs to end, then the engine. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#workers].map((worker) => worker.close()))
    await this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #enqueueAll<Input, Result>(
    task: Task<Input, Result>,
    inputs: readonly Input[],
    { priority = 'normal', delayMs = 0, deduplicate }: EnqueueOptions,
  ): Promise<JobHandle<Result>[]> {
    if (this.#isClosed) throw new ClosedError('the task queue')
    if (!(delayMs >= 0 && Number.isFinite(delayMs))) {
      throw new RangeError(`delayMs must be finite and at least 0, got ${delayMs}`)
    }
    const { name, queue, maxAttempts } = task
    const jobs = inputs.map((input): NewJob => {
      const encoded = this.#encode(name, task.check(input))
      return { task: name, queue, input: encoded, priority, delayMs, deduplicate, maxAttempts }
    })
    const ids = await this.#engine.enqueue(jobs)
    return ids.map((id) => ({
      id,
      result: (options) => this.#result<Result>(name, queue, id, options),
    }))
  }

  #encode(task: string, input: unknown): string {
    let text: string | undefined
    try {
      text = JSON.stringify(input) as string | undefined
    } catch (cause) {
      throw new TaskPayloadError(task, 'is an input that JSON cannot hold', { cause })
    }
    if (text === undefined) throw new TaskPayloadError(task, 'is an input that JSON cannot hold')
    const bytes = Buffer.byteLength(text)
    if (bytes <= this.#maxInputBytes) return text
    throw new TaskPayloadError(task, `has ${bytes} bytes, the limit is ${this.#maxInputBytes}`)
  }

  async #result<Result>(
    task: string,
    queue: string,
    id: string,
    { timeoutMs = 60_000, signal }: ResultOptions = {},
  ): Promise<Result> {
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    const limit = new AbortController()
    const timer = setTimeout(
      () => limit.abort(new TimeoutError(`job ${id} of task ${task}`, timeoutMs)),
      Math.min(timeoutMs, 2 ** 31 - 1),
    )
    try {
      const either = signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal])
      const outcome = await this.#engine.outcome(queue, id, either)
      if (outcome?.state === 'completed') return JSON.parse(outcome.result) as Result
      throw new TaskFailedError(task, id, outcome?.reason ?? 'its outcome is no longer known')
    } finally {
      clearTimeout(timer)
    }
  }
}
