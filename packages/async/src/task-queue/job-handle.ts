import { TimeoutError, type Clock } from '@dharma/core'
import { cancelJob } from './cancellation.ts'
import { checkpointKey } from './chunk/chunk-run.ts'
import { TaskCancelledError, TaskFailedError } from './errors.ts'
import type { JobInfo } from './job-info.ts'
import type { QueueEngine } from './queue-engine.ts'

/** A job that was enqueued. */
export interface JobHandle<Result> {
  readonly id: string
  readonly task: string
  readonly queue: string
  /**
   * What the task returned, wherever it ran, as JSON gives it back.
   * @throws TaskFailedError, TaskCancelledError, TimeoutError, or the signal's reason
   */
  result(options?: ResultOptions): Promise<Result>
  /**
   * Ends the job: one that waits at once, one that runs through its signal. `false` if it had ended.
   * Of a chunk, all of it.
   */
  cancel(reason?: string): Promise<boolean>
  /** All that is known about the job; `undefined` once that is nothing. */
  info(): Promise<JobInfo | undefined>
}

export interface ResultOptions {
  /** Longest wait. Above 0. @default 60_000 */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

/** Where a job is. */
export interface JobPlace {
  readonly id: string
  readonly task: string
  readonly queue: string
  /** Which of the inputs of a chunk is meant. */
  readonly index?: number
}

/** Waits, for `timeoutMs` at most. @throws RangeError, TimeoutError, or the signal's reason */
export async function within<Value>(
  operation: string,
  clock: Clock,
  { timeoutMs = 60_000, signal }: ResultOptions,
  wait: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
  const limit = new AbortController()
  const timer = clock.setTimeout(
    () => limit.abort(new TimeoutError(operation, timeoutMs)),
    Math.min(timeoutMs, 2 ** 31 - 1),
  )
  try {
    return await wait(signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal]))
  } finally {
    timer.cancel()
  }
}

/** A handle of a job in an engine. */
export class EngineJobHandle<Result> implements JobHandle<Result> {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly #index: number | undefined
  readonly #engine: QueueEngine
  readonly #clock: Clock

  constructor({ id, task, queue, index }: JobPlace, engine: QueueEngine, clock: Clock) {
    this.id = id
    this.task = task
    this.queue = queue
    this.#index = index
    this.#engine = engine
    this.#clock = clock
  }

  async result(options: ResultOptions = {}): Promise<Result> {
    const { id, task, queue } = this
    const outcome = await within(`job ${id} of task ${task}`, this.#clock, options, (signal) => {
      return this.#engine.outcome(queue, id, signal)
    })
    if (outcome === undefined) {
      throw new TaskFailedError(task, id, 'its outcome is no longer known')
    }
    if (outcome.state === 'completed') {
      const value = JSON.parse(outcome.result) as unknown
      return (this.#index === undefined ? value : (value as unknown[])[this.#index]) as Result
    }
    if (this.#index !== undefined) {
      const done = (await this.#engine.state.fields(checkpointKey(queue, id)))[this.#index]
      if (done !== undefined) return JSON.parse(done) as Result
    }
    const { reason, kind } = outcome
    if (kind === 'cancelled') throw new TaskCancelledError(id, reason)
    throw new TaskFailedError(task, id, reason, { kind })
  }

  cancel(reason = 'it is not needed any more'): Promise<boolean> {
    return cancelJob(this.#engine, this.queue, this.id, reason)
  }

  info(): Promise<JobInfo | undefined> {
    return this.#engine.job(this.queue, this.id)
  }
}
