import { systemClock, toError, type Clock, type Metrics, type Timer } from '@dharma/core'
import type { Task } from './define-task.ts'
import { TaskPayloadError, TaskTimeLimitError } from './errors.ts'
import type { ClaimedJob, QueueEngine } from './queue-engine.ts'
import { WorkerMetrics } from './worker-metrics.ts'

export interface WorkOptions {
  /** Jobs run at the same time at most, over all queues of this worker. At least 1. @default 10 */
  readonly concurrency?: number
  /** How long `close()` waits for running jobs before their signals abort and they are handed back. @default 10_000 */
  readonly closeTimeoutMs?: number
  /** Called when the engine could not be reached; the worker goes on trying. */
  readonly onError?: (error: Error) => void
}

export interface WorkerSettings extends WorkOptions {
  readonly engine: QueueEngine
  readonly tasks: readonly Task[]
  readonly metrics: Metrics | undefined
  readonly clock?: Clock
  readonly random?: () => number
}

interface RunningJob {
  readonly job: ClaimedJob
  readonly abort: AbortController
}

const ERROR_PAUSE_MS = 1_000

/** Takes jobs from an engine and runs their tasks, until it is closed. */
export class TaskWorker implements AsyncDisposable {
  readonly #engine: QueueEngine
  readonly #tasks: ReadonlyMap<string, Task>
  readonly #concurrency: number
  readonly #closeTimeoutMs: number
  readonly #onError: (error: Error) => void
  readonly #clock: Clock
  readonly #random: () => number
  readonly #metrics: WorkerMetrics
  readonly #running = new Map<string, RunningJob>()
  readonly #stopped = new AbortController()
  readonly #loops: Promise<void>[]
  readonly #renewal: Timer | undefined
  /** Waiting for a slot, one a queue. */
  readonly #waiting = new Set<() => void>()
  #reserved = 0
  #closed: Promise<void> | undefined

  /** Made by `TaskQueue.work`. @throws RangeError naming option, limit and value */
  constructor(settings: WorkerSettings) {
    const { engine, tasks, concurrency = 10, closeTimeoutMs = 10_000, onError } = settings
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new RangeError(`concurrency must be a whole number of at least 1, got ${concurrency}`)
    }
    if (!(closeTimeoutMs >= 0)) {
      throw new RangeError(`closeTimeoutMs must be at least 0, got ${closeTimeoutMs}`)
    }
    this.#engine = engine
    this.#tasks = new Map(tasks.map((task) => [task.name, task]))
    if (this.#tasks.size !== tasks.length)
      throw new RangeError('two tasks of a worker have one name')
    this.#concurrency = concurrency
    this.#closeTimeoutMs = closeTimeoutMs
    this.#onError = onError ?? ((error) => process.emitWarning(error))
    this.#clock = settings.clock ?? systemClock
    this.#random = settings.random ?? Math.random
    this.#metrics = new WorkerMetrics(settings.metrics, this.#clock)
    const queues = new Set(tasks.map(({ queue }) => queue))
    this.#loops = [...queues].map((queue) => this.#loop(queue))
    if (engine.leaseMs < Infinity) {
      const everyMs = engine.leaseMs / 3
      this.#renewal = this.#clock.setInterval(() => void this.#renew(), everyMs, {
        keepsAlive: false,
      })
    }
  }

  /** Jobs running now. */
  get running(): number {
    return this.#running.size
  }

  /**
   * Takes no more jobs and lets those that run end; after `closeTimeoutMs` their signals abort and
   * they are handed back, to be run elsewhere.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #loop(queue: string): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#slot()
      const room = this.#concurrency - this.#running.size - this.#reserved
      if (signal.aborted || room <= 0) continue
      this.#reserved += room
      let jobs: ClaimedJob[] = []
      try {
        jobs = await this.#engine.claim(queue, room, signal)
      } catch (error) {
        this.#onError(toError(error))
        await this.#clock.sleep(this.#random() * ERROR_PAUSE_MS, signal).catch(ignoreAbort)
      } finally {
        this.#reserved -= room
      }
      for (const job of jobs) void this.#run(job)
      this.#wake()
    }
  }

  /** Resolves when a job more may run, or the worker stops. */
  async #slot(): Promise<void> {
    if (this.#running.size + this.#reserved < this.#concurrency || this.#stopped.signal.aborted)
      return
    await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  async #run(job: ClaimedJob): Promise<void> {
    const abort = new AbortController()
    this.#running.set(job.id, { job, abort })
    try {
      await this.#runToEnd(job, abort)
    } catch (error) {
      // The engine did not take the outcome: the lease ends by itself, and the job runs again.
      this.#onError(toError(error))
    } finally {
      this.#running.delete(job.id)
      this.#wake()
    }
  }

  async #runToEnd(job: ClaimedJob, abort: AbortController): Promise<void> {
    const task = this.#tasks.get(job.task)
    if (task === undefined) {
      // Another worker of this queue may know the task, as in the middle of a deployment.
      await this.#engine.release(job, ERROR_PAUSE_MS)
      return
    }
    if (job.attempt > task.maxAttempts) {
      const reason = `it ended the process of its worker in each of ${task.maxAttempts} runs`
      await this.#engine.fail(job, reason, undefined)
      return
    }
    const startedMs = this.#clock.monotonicMs()
    let result: string
    try {
      result = encodeResult(task.name, await this.#execute(task, job, abort))
    } catch (error) {
      if (abort.signal.reason === HANDED_BACK) return
      this.#metrics.failed(task.name, startedMs)
      await this.#engine.fail(job, toError(error).message, this.#retryDelayMs(task, job, error))
      return
    }
    await this.#engine.complete(job, result)
    this.#metrics.completed(task.name, startedMs)
  }

  async #execute(task: Task, job: ClaimedJob, abort: AbortController): Promise<unknown> {
    const { timeoutMs } = task
    const timer = this.#clock.setTimeout(
      () => abort.abort(new TaskTimeLimitError(task.name, timeoutMs)),
      timeoutMs,
    )
    const aborted = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(toError(abort.signal.reason)), {
        once: true,
      })
    })
    try {
      const context = { jobId: job.id, attempt: job.attempt, signal: abort.signal }
      return await Promise.race([task.execute(JSON.parse(job.input), context), aborted])
    } finally {
      timer.cancel()
    }
  }

  #retryDelayMs(task: Task, { attempt }: ClaimedJob, error: unknown): number | undefined {
    if (attempt >= task.maxAttempts || !task.retryIf(error)) return undefined
    return task.backoff(attempt, 0, this.#random)
  }

  async #renew(): Promise<void> {
    const jobs = [...this.#running.values()].map(({ job }) => job)
    if (jobs.length === 0) return
    try {
      for (const id of await this.#engine.extend(jobs)) {
        this.#running.get(id)?.abort.abort(HANDED_BACK)
      }
    } catch (error) {
      this.#onError(toError(error))
    }
  }

  async #close(): Promise<void> {
    this.#stopped.abort()
    this.#wake()
    await Promise.all(this.#loops)
    const deadline = new AbortController()
    await Promise.race([
      this.#drained(),
      this.#clock.sleep(this.#closeTimeoutMs, deadline.signal).catch(ignoreAbort),
    ])
    deadline.abort()
    for (const { job, abort } of this.#running.values()) {
      abort.abort(HANDED_BACK)
      await this.#engine.release(job)
    }
    this.#renewal?.cancel()
  }

  async #drained(): Promise<void> {
    while (this.#running.size > 0) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }
}

/** Why a run was ended whose job another worker has, or will have. */
const HANDED_BACK: Error = new Error('the job was handed to another worker')

function encodeResult(task: string, result: unknown): string {
  try {
    const text: string | undefined = JSON.stringify(result)
    return text ?? 'null'
  } catch (cause) {
    throw new TaskPayloadError(task, 'is a result that JSON cannot hold', { cause })
  }
}

/** The wait was ended on purpose. */
function ignoreAbort(): void {}
