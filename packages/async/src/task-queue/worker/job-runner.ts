import { toError, type Clock } from '@dharma/core'
import { hostname } from 'node:os'
import { cancelKey } from '../cancellation.ts'
import { checkpointKey, runChunk } from '../chunk/chunk-run.ts'
import { encodePayload } from '../codec.ts'
import type { Task } from '../define-task.ts'
import { ChunkFailedError, TaskCancelledError, TaskInputError } from '../errors.ts'
import type { ClaimedJob, FailureKind, QueueEngine, RunFailure } from '../queue-engine.ts'
import type { WorkflowRuns } from '../workflow/workflow-runs.ts'
import { JobContext } from './job-context.ts'
import { HANDED_BACK, type RunningJob } from './running-job.ts'
import { TimeLimit } from './time-limit.ts'
import type { RunEnd, WorkerMetrics } from './worker-metrics.ts'

export interface JobRunnerOptions {
  readonly engine: QueueEngine
  /** By every name that a job may give, earlier versions included. */
  readonly tasks: ReadonlyMap<string, Task>
  readonly workflows: WorkflowRuns
  readonly metrics: WorkerMetrics
  readonly clock: Clock
  readonly random: () => number
  readonly maxResultBytes: number
  readonly idempotencyTtlMs: number
  /** Called for a task that no version here knows. */
  readonly onUnknown: (task: string) => void
}

/** Which other worker knows an unknown task may turn out in a while, as in the middle of a deployment. */
const UNKNOWN_PAUSE_MS = 1_000
const WORKER = `${hostname()}:${process.pid}`

/** Under which the result of a job with an idempotency key is kept. */
function idempotentKey(jobId: string): string {
  return `result:${jobId}`
}

/** Takes one claimed job through its run to its end in the engine. */
export class JobRunner {
  readonly #options: JobRunnerOptions

  constructor(options: JobRunnerOptions) {
    this.#options = options
  }

  /** Rejects only when the engine did not take the outcome: then the lease ends, and the job runs again. */
  async run(running: RunningJob): Promise<void> {
    const { engine, tasks, clock, metrics, onUnknown } = this.#options
    const { job } = running
    const task = tasks.get(job.task)
    if (task === undefined) {
      onUnknown(job.task)
      await engine.release(job, UNKNOWN_PAUSE_MS)
      return
    }
    const startedMs = clock.monotonicMs()
    const startedAtMs = clock.now()
    metrics.started(job)
    const refusal = await this.#refusal(task, job)
    if (refusal !== undefined) {
      const failure = failureOf(job, refusal.kind, refusal.error, startedAtMs, startedAtMs)
      metrics.ended(job.task, refusal.kind === 'error' ? 'failed' : refusal.kind, startedMs)
      await this.#failForGood(job, failure)
      return
    }
    let end: RunEnd
    try {
      end = await this.#complete(job, await this.#result(task, running))
    } catch (error) {
      if (running.reason === HANDED_BACK) return
      if (error instanceof EngineFailure) throw error.cause
      end = await this.#fail(task, job, toError(error), startedAtMs)
    }
    metrics.ended(job.task, end, startedMs)
  }

  /** Why a job is not to be run at all. */
  async #refusal(
    task: Task,
    job: ClaimedJob,
  ): Promise<{ readonly kind: FailureKind; readonly error: Error } | undefined> {
    const { engine, workflows, clock } = this.#options
    const { crashes, isFirst, meta } = job
    if (crashes >= task.maxCrashes) {
      const error = new Error(`it ended the process of its worker in each of ${crashes} runs`)
      return { kind: 'poison', error }
    }
    if (meta.expiresAtMs !== undefined && clock.now() > meta.expiresAtMs) {
      return { kind: 'expired', error: new Error('it was not started in its time') }
    }
    if (!isFirst) {
      const cancelled = await engine.state.get(cancelKey(job.queue, job.id))
      if (cancelled !== undefined) {
        return { kind: 'cancelled', error: new TaskCancelledError(job.id, cancelled.value) }
      }
    }
    if (meta.workflow !== undefined && !(await workflows.isRunning(meta.workflow.id))) {
      const error = new TaskCancelledError(job.id, `workflow ${meta.workflow.id} has ended`)
      return { kind: 'cancelled', error }
    }
    return undefined
  }

  /** The result as text: of this run, or of an earlier one if the job is idempotent. */
  async #result(task: Task, running: RunningJob): Promise<string> {
    const { engine, maxResultBytes, idempotencyTtlMs } = this.#options
    const { job } = running
    if (job.meta.isIdempotent !== true) return this.#execute(task, running, maxResultBytes)
    const key = idempotentKey(job.id)
    const earlier = await engine.state.get(key)
    if (earlier !== undefined) return earlier.value
    const result = await this.#execute(task, running, maxResultBytes)
    const isOurs = await engine.state.put(key, result, { ifVersion: 0, ttlMs: idempotencyTtlMs })
    if (isOurs) return result
    return (await engine.state.get(key))?.value ?? result
  }

  async #execute(task: Task, running: RunningJob, maxResultBytes: number): Promise<string> {
    const { engine, clock } = this.#options
    const { job } = running
    const context = new JobContext(engine, running, maxResultBytes)
    using limit = new TimeLimit(clock, task, running)
    const upgrade = task.earlier.get(job.task)
    const given: unknown = JSON.parse(job.input)
    if (job.meta.chunk === undefined) {
      const input = upgrade === undefined ? given : upgrade(given)
      const result = await Promise.race([task.execute(input, context), running.givenUp])
      return encodePayload(task.name, 'result', result ?? null, maxResultBytes)
    }
    const inputs = given as unknown[]
    const run = runChunk({
      state: engine.state,
      task,
      checkpoints: checkpointKey(job.queue, job.id),
      isFirst: job.isFirst,
      inputs: upgrade === undefined ? inputs : inputs.map((input) => upgrade(input)),
      context,
      maxResultBytes,
      nowMs: () => clock.monotonicMs(),
      onNext: () => limit.restart(),
    })
    return JSON.stringify(await Promise.race([run, running.givenUp]))
  }

  /** The workflow first: after a crash between the two, the job runs again and finds its next step stored. */
  async #complete(job: ClaimedJob, result: string): Promise<RunEnd> {
    const { engine, workflows } = this.#options
    const { workflow } = job.meta
    try {
      if (workflow !== undefined) {
        await workflows.resolved(workflow.id, workflow.path, JSON.parse(result))
      }
      return (await engine.complete(job, result)) ? 'completed' : 'lost'
    } catch (cause) {
      throw new EngineFailure('the outcome of a run could not be stored', { cause })
    }
  }

  async #fail(task: Task, job: ClaimedJob, error: Error, startedAtMs: number): Promise<RunEnd> {
    const { engine, clock } = this.#options
    const kind: FailureKind = error instanceof TaskCancelledError ? 'cancelled' : 'error'
    const failure = failureOf(job, kind, error, startedAtMs, clock.now())
    const retryDelayMs =
      kind === 'cancelled' ? undefined : await this.#retryDelayMs(task, job, error)
    if (retryDelayMs === undefined) {
      if (!(await this.#failForGood(job, failure))) return 'lost'
      return kind === 'cancelled' ? 'cancelled' : 'failed'
    }
    const isTaken = await engine.fail(job, { ...failure, retryDelayMs }, retryDelayMs)
    return isTaken ? 'retried' : 'lost'
  }

  /** The workflow first, as in {@link #complete}. */
  async #failForGood(job: ClaimedJob, failure: RunFailure): Promise<boolean> {
    const { engine, workflows } = this.#options
    const { id, task, meta } = job
    if (meta.workflow !== undefined) {
      const { reason, kind } = failure
      await workflows.failed(meta.workflow.id, { task, jobId: id, reason, kind })
    }
    return engine.fail(job, failure, undefined)
  }

  async #retryDelayMs(task: Task, job: ClaimedJob, error: Error): Promise<number | undefined> {
    if (error instanceof TaskInputError) return undefined
    const failedRuns = job.attempt - job.crashes
    if (failedRuns >= task.maxAttempts) return undefined
    const isWorthIt = error instanceof ChunkFailedError || task.retryIf(error)
    if (!isWorthIt) return undefined
    const previousDelayMs = failedRuns === 1 ? 0 : await this.#previousDelayMs(job)
    return task.backoff(failedRuns, previousDelayMs, this.#options.random)
  }

  /** The pause before this run, as the job's story tells it. */
  async #previousDelayMs({ queue, id }: ClaimedJob): Promise<number> {
    const info = await this.#options.engine.job(queue, id)
    return info?.failures.at(-1)?.retryDelayMs ?? 0
  }
}

/** Told apart from a failure of the task: the run itself went well. */
class EngineFailure extends Error {}

function failureOf(
  { attempt }: ClaimedJob,
  kind: FailureKind,
  error: Error,
  startedAtMs: number,
  endedAtMs: number,
): RunFailure {
  const { name, message, stack } = error
  return {
    kind,
    attempt,
    reason: error instanceof TaskCancelledError ? error.reason : message,
    errorName: name,
    ...(stack === undefined ? {} : { stack }),
    startedAtMs,
    endedAtMs,
    worker: WORKER,
  }
}
