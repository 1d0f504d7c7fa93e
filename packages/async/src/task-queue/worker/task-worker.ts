import { systemClock, toError, type Clock, type Metrics, type Timer } from '@dharma/core'
import { randomUUID } from 'node:crypto'
import { CANCEL_TOPIC, type Cancellation } from '../cancellation.ts'
import { requireRateLimit, type Task } from '../define-task.ts'
import { TaskCancelledError } from '../errors.ts'
import type { ClaimedJob, QueueEngine } from '../queue-engine.ts'
import type { RateLimit } from '../state-store.ts'
import { WORKFLOW_TOPIC, type WorkflowRuns } from '../workflow/workflow-runs.ts'
import { AdaptiveConcurrency, type ConcurrencyRange } from './adaptive-concurrency.ts'
import { ClaimLoop } from './claim-loop.ts'
import { JobRunner } from './job-runner.ts'
import { QueueOrder, type QueueOrderOption } from './queue-order.ts'
import { RateGate } from './rate-gate.ts'
import { HANDED_BACK, RunningJob } from './running-job.ts'
import { WorkerMetrics } from './worker-metrics.ts'
import { HOST, WorkerPresence, type WorkerInfo } from './worker-presence.ts'

export interface WorkOptions {
  /**
   * Jobs run at the same time at most, over all queues of this worker: a number of at least 1, or a
   * range within which the worker finds what pays. @default 10
   */
  readonly concurrency?: number | ConcurrencyRange
  /** Queues to take jobs from, besides those of the tasks. @default none */
  readonly queues?: readonly string[]
  /** Which queue a free slot goes to; `strict` is in order of `queues`, then of the tasks'. @default 'fair' */
  readonly order?: QueueOrderOption
  /** How long `close()` waits for running jobs before their signals abort and they are handed back. @default 10_000 */
  readonly closeTimeoutMs?: number
  /** Called when the engine could not be reached; the worker goes on trying. @default a process warning */
  readonly onError?: (error: Error) => void
}

export interface WorkerSettings extends WorkOptions {
  readonly engine: QueueEngine
  readonly tasks: readonly Task[]
  readonly workflows: WorkflowRuns
  /** Where a task's jobs go. */
  readonly route: (task: Task) => string
  readonly rateLimits: Readonly<Record<string, RateLimit>>
  readonly maxResultBytes: number
  readonly idempotencyTtlMs: number
  readonly metrics: Metrics | undefined
  readonly clock?: Clock
  readonly random?: () => number
  readonly onClosed: (worker: TaskWorker) => void
}

const LOOK_EVERY_MS = 500
/** Jobs that have ended so many processes run one at a time, so that none is taken for the cause of another's end. */
const SUSPECT_CRASHES = 2
const SUSPECT_PAUSE_MS = 200
const HOLD_GRACE_MS = 5_000

/** Takes jobs from an engine and runs their tasks, until it is closed. */
export class TaskWorker implements AsyncDisposable {
  readonly id: string = randomUUID()
  readonly #settings: WorkerSettings
  readonly #engine: QueueEngine
  readonly #tasks: ReadonlyMap<string, Task>
  readonly #queues: readonly string[]
  readonly #concurrency: AdaptiveConcurrency
  readonly #closeTimeoutMs: number
  readonly #onError: (error: Error) => void
  readonly #clock: Clock
  readonly #runner: JobRunner
  readonly #loop: ClaimLoop
  readonly #presence: WorkerPresence
  readonly #running = new Map<string, RunningJob>()
  readonly #unknown = new Set<string>()
  readonly #subscriptions: Promise<Disposable[]>
  readonly #looks: Timer | undefined
  readonly #startedAtMs: number
  #idle = (): void => {}
  #closed: Promise<void> | undefined

  /** Made by `TaskQueue.work`. @throws RangeError naming option, limit and value */
  constructor(settings: WorkerSettings) {
    const { engine, tasks, concurrency = 10, closeTimeoutMs = 10_000, onError } = settings
    if (!(closeTimeoutMs >= 0)) {
      throw new RangeError(`closeTimeoutMs must be at least 0, got ${closeTimeoutMs}`)
    }
    this.#settings = settings
    this.#engine = engine
    this.#tasks = byName(tasks)
    this.#queues = [...new Set([...(settings.queues ?? []), ...tasks.map(settings.route)])]
    this.#concurrency = new AdaptiveConcurrency(concurrency)
    this.#closeTimeoutMs = closeTimeoutMs
    this.#onError = onError ?? ((error) => process.emitWarning(error))
    this.#clock = settings.clock ?? systemClock
    this.#startedAtMs = this.#clock.now()
    const { rateLimits, workflows, maxResultBytes, idempotencyTtlMs, metrics } = settings
    for (const [queue, limit] of Object.entries(rateLimits)) {
      requireRateLimit(`rateLimits.${queue}`, limit)
    }
    const order = new QueueOrder(this.#queues, settings.order ?? 'fair')
    const random = settings.random ?? Math.random
    this.#runner = new JobRunner({
      engine,
      tasks: this.#tasks,
      workflows,
      metrics: new WorkerMetrics(metrics, this.#clock),
      clock: this.#clock,
      random,
      maxResultBytes,
      idempotencyTtlMs,
      onUnknown: (task) => this.#tellUnknown(task),
    })
    this.#subscriptions = this.#listen()
    this.#loop = new ClaimLoop({
      engine,
      order,
      gate: new RateGate(engine.state, rateLimits, this.#tasks, this.#clock),
      clock: this.#clock,
      random,
      room: () => this.#concurrency.limit - this.#running.size,
      holdMs: (task, { chunk = 1 }) => {
        return (this.#tasks.get(task)?.timeoutMs ?? 0) * chunk + HOLD_GRACE_MS
      },
      onLost: (job) => this.#running.get(keyOf(job))?.giveUp(HANDED_BACK),
      onJobs: (jobs) => this.#start(jobs),
      onError: this.#onError,
    })
    const describe = (): WorkerInfo => this.info
    this.#presence = new WorkerPresence(engine.state, this.id, describe, this.#clock, this.#onError)
    if (!this.#concurrency.isFixed) this.#looks = this.#lookAgainAndAgain()
  }

  /** Jobs running now. */
  get running(): number {
    return this.#running.size
  }

  /** Jobs that may run at the same time, now. */
  get concurrency(): number {
    return this.#concurrency.limit
  }

  get info(): WorkerInfo {
    return {
      id: this.id,
      ...HOST,
      queues: this.#queues,
      tasks: [...this.#tasks.keys()],
      concurrency: this.#concurrency.limit,
      running: this.#running.size,
      startedAtMs: this.#startedAtMs,
      seenAtMs: this.#clock.now(),
    }
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

  #start(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) {
      const isSuspect = job.crashes >= SUSPECT_CRASHES
      if (isSuspect && [...this.#running.values()].some(isSuspected)) {
        this.#engine.release(job, SUSPECT_PAUSE_MS).catch((error) => this.#onError(toError(error)))
        continue
      }
      const running = new RunningJob(job)
      this.#running.set(keyOf(job), running)
      void this.#run(running)
    }
    this.#concurrency.started(this.#running.size)
  }

  async #run(running: RunningJob): Promise<void> {
    try {
      await this.#runner.run(running)
    } catch (error) {
      this.#onError(toError(error))
    } finally {
      // A job that came back to this worker after its lease was lost has an entry of its own.
      const key = keyOf(running.job)
      if (this.#running.get(key) === running) this.#running.delete(key)
      this.#concurrency.ended()
      this.#loop.wake()
      if (this.#running.size === 0) this.#idle()
    }
  }

  async #listen(): Promise<Disposable[]> {
    const { signals } = this.#engine
    try {
      return await Promise.all([
        signals.subscribe(CANCEL_TOPIC, (text) => {
          const { queue, jobId, reason } = JSON.parse(text) as Cancellation
          const running = this.#running.get(keyOf({ queue, id: jobId }))
          running?.giveUp(new TaskCancelledError(jobId, reason))
        }),
        signals.subscribe(WORKFLOW_TOPIC, (workflowId) => {
          for (const { job, giveUp } of this.#of(workflowId)) {
            giveUp(new TaskCancelledError(job.id, `workflow ${workflowId} has ended`))
          }
        }),
      ])
    } catch (error) {
      this.#onError(toError(error))
      return []
    }
  }

  #of(workflowId: string): { job: ClaimedJob; giveUp: (reason: Error) => void }[] {
    return [...this.#running.values()]
      .filter(({ job }) => job.meta.workflow?.id === workflowId)
      .map((running) => ({ job: running.job, giveUp: (reason) => running.giveUp(reason) }))
  }

  #lookAgainAndAgain(): Timer {
    return this.#clock.setInterval(
      () => {
        this.#concurrency.look(this.#running.size)
        this.#loop.wake()
      },
      LOOK_EVERY_MS,
      { keepsAlive: false },
    )
  }

  #tellUnknown(task: string): void {
    if (this.#unknown.has(task)) return
    this.#unknown.add(task)
    this.#onError(new Error(`this worker has no task ${task}: its jobs are left to other workers`))
  }

  async #close(): Promise<void> {
    this.#looks?.cancel()
    await this.#loop.stop()
    if (this.#closeTimeoutMs > 0) await this.#waitForRuns()
    await Promise.all(
      [...this.#running.values()].map(async (running) => {
        running.giveUp(HANDED_BACK)
        await this.#engine.release(running.job)
      }),
    )
    for (const subscription of await this.#subscriptions) subscription[Symbol.dispose]()
    await this.#presence.close()
    this.#settings.onClosed(this)
  }

  async #waitForRuns(): Promise<void> {
    const deadline = new AbortController()
    await Promise.race([
      this.#drained(),
      this.#clock.sleep(this.#closeTimeoutMs, deadline.signal).catch(ignoreAbort),
    ])
    deadline.abort()
  }

  async #drained(): Promise<void> {
    if (this.#running.size === 0) return
    await new Promise<void>((resolve) => (this.#idle = resolve))
  }
}

/** Ids are an engine's own only within a queue. */
function keyOf({ queue, id }: Pick<ClaimedJob, 'queue' | 'id'>): string {
  return `${queue}\n${id}`
}

function isSuspected({ job }: RunningJob): boolean {
  return job.crashes >= SUSPECT_CRASHES
}

function byName(tasks: readonly Task[]): Map<string, Task> {
  const named = new Map<string, Task>()
  for (const task of tasks) {
    if (named.has(task.name))
      throw new RangeError(`two tasks of a worker have the name ${task.name}`)
    named.set(task.name, task)
  }
  for (const task of tasks) {
    for (const name of task.earlier.keys()) if (!named.has(name)) named.set(name, task)
  }
  return named
}

/** The wait was ended on purpose. */
function ignoreAbort(): void {}
