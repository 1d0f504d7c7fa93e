import {
  ClosedError,
  silentLogger,
  systemClock,
  toError,
  type Clock,
  type Logger,
  type Metrics,
} from '@dharma/core'
import { degraded, type CheckOptions } from '@dharma/core/health'
import { randomUUID } from 'node:crypto'
import { encodePayload } from './codec.ts'
import { requireName, type Task } from './define-task.ts'
import { jobDefaults, type EnqueueOptions } from './enqueue-options.ts'
import { EngineJobHandle, type JobHandle } from './job-handle.ts'
import { memory } from './memory/memory-engine.ts'
import { QueueAdmin } from './queue-admin.ts'
import { QueueDepth } from './queue-depth.ts'
import type { NewJob, QueueCounts, QueueEngine } from './queue-engine.ts'
import { timingOf, type ScheduleOptions } from './schedule/schedule-spec.ts'
import { ScheduleStore, type StoredSchedule } from './schedule/schedule-store.ts'
import { SCHEDULE_TOPIC, Scheduler } from './schedule/scheduler.ts'
import type { RateLimit } from './state-store.ts'
import { TaskWorker, type WorkOptions } from './worker/task-worker.ts'
import { planOf, type Step } from './workflow/flow.ts'
import { mapSteps } from './workflow/plan.ts'
import { EngineWorkflowHandle, type WorkflowHandle } from './workflow/workflow-handle.ts'
import { WorkflowRuns } from './workflow/workflow-runs.ts'

export interface TaskQueueOptions {
  /** @default memory(), which lives and dies with the process */
  readonly engine?: QueueEngine
  /** Encoded bytes of an input at most. At least 1. @default 1 MiB */
  readonly maxInputBytes?: number
  /** Encoded bytes of a result, a progress report or a kept step at most. At least 1. @default 1 MiB */
  readonly maxResultBytes?: number
  /** Queues of tasks, by name or by the beginning of a name and `*`; the first that fits counts. @default the tasks' own */
  readonly routes?: Readonly<Record<string, string>>
  /** Starts of jobs by queue, over all workers. Give every process the same. @default none */
  readonly rateLimits?: Readonly<Record<string, RateLimit>>
  /** How long the result of a job with an idempotency key is kept. At least 1000. @default 86_400_000 (1 d) */
  readonly idempotencyTtlMs?: number
  /** Whether this process makes the jobs of schedules once it works or has made a schedule. @default true */
  readonly runsSchedules?: boolean
  /** Told what endangers jobs, at start. @default a process warning */
  readonly logger?: Logger
  /** Of runs by task, and of jobs by queue and state for the queues that this process works on. */
  readonly metrics?: Metrics
  /** @default systemClock */
  readonly clock?: Clock
  /** Uniform in [0, 1): jitter of backoff. @default Math.random */
  readonly random?: () => number
}

export interface EnqueueManyOptions extends Omit<EnqueueOptions, 'deduplicate' | 'idempotencyKey'> {
  /**
   * Puts so many inputs in one job, which runs them one after the other. Each keeps its own result;
   * after a crash or a failure only those without one are run again. `timeoutMs` of the task is for
   * one input. At least 1. @default a job for each
   */
  readonly chunkSize?: number
}

/** A queue of typed tasks on the engine given. */
export function createTaskQueue(options: TaskQueueOptions = {}): TaskQueue {
  return new TaskQueue(options)
}

/** Typed tasks in, typed results out; where jobs live is the engine's matter. */
export class TaskQueue implements AsyncDisposable {
  /** What operators do: look at jobs, pause, drain, replay. */
  readonly admin: QueueAdmin
  readonly #engine: QueueEngine
  readonly #maxInputBytes: number
  readonly #maxResultBytes: number
  readonly #idempotencyTtlMs: number
  readonly #routes: readonly (readonly [string, string])[]
  readonly #options: TaskQueueOptions
  readonly #clock: Clock
  readonly #workflows: WorkflowRuns
  readonly #schedules: ScheduleStore
  readonly #workers = new Set<TaskWorker>()
  readonly #warned: Promise<void>
  #scheduler: Scheduler | undefined
  #depth: QueueDepth | undefined
  #isClosed = false

  /** @throws RangeError naming option, limit and value */
  constructor(options: TaskQueueOptions = {}) {
    const { engine = memory(), maxInputBytes = 1024 * 1024, maxResultBytes = 1024 * 1024 } = options
    const { idempotencyTtlMs = 86_400_000, routes = {}, clock = systemClock } = options
    const limits = { maxInputBytes: 1, maxResultBytes: 1, idempotencyTtlMs: 1_000 }
    const values = { maxInputBytes, maxResultBytes, idempotencyTtlMs }
    for (const option of Object.keys(values) as (keyof typeof values)[]) {
      if (values[option] >= limits[option]) continue
      throw new RangeError(`${option} must be at least ${limits[option]}, got ${values[option]}`)
    }
    for (const [pattern, queue] of Object.entries(routes)) requireName(`routes.${pattern}`, queue)
    this.#engine = engine
    this.#maxInputBytes = maxInputBytes
    this.#maxResultBytes = maxResultBytes
    this.#idempotencyTtlMs = idempotencyTtlMs
    this.#routes = Object.entries(routes)
    this.#options = options
    this.#clock = clock
    this.#workflows = new WorkflowRuns(engine, maxInputBytes, clock)
    this.#schedules = new ScheduleStore(engine.state)
    this.admin = new QueueAdmin(engine, clock)
    this.#warned = this.#warn()
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
    this.#requireOpen()
    const job = { ...this.#newJob(task, options), input: this.#encode(task, input) }
    const [id = ''] = await this.#engine.enqueue([job])
    return this.#handle(id, job)
  }

  /**
   * Stores jobs for all inputs, in one call to the engine; all are checked before one is stored. One
   * handle for each input, whether they share a job or not.
   */
  async enqueueMany<Input, Result>(
    task: Task<Input, Result>,
    inputs: readonly NoInfer<Input>[],
    { chunkSize, ...options }: EnqueueManyOptions = {},
  ): Promise<JobHandle<Result>[]> {
    this.#requireOpen()
    const common = this.#newJob(task, options)
    if (chunkSize === undefined) {
      const jobs = inputs.map((input) => ({ ...common, input: this.#encode(task, input) }))
      const ids = await this.#engine.enqueue(jobs)
      return ids.map((id) => this.#handle(id, common))
    }
    if (!(Number.isSafeInteger(chunkSize) && chunkSize >= 1)) {
      throw new RangeError(`chunkSize must be a whole number of at least 1, got ${chunkSize}`)
    }
    const jobs: NewJob[] = []
    for (let start = 0; start < inputs.length; start += chunkSize) {
      const part = inputs.slice(start, start + chunkSize)
      for (const input of part) task.check(input)
      const input = encodePayload(task.name, 'input', part, this.#maxInputBytes)
      jobs.push({ ...common, input, meta: { ...common.meta, chunk: part.length } })
    }
    const ids = await this.#engine.enqueue(jobs)
    return inputs.map((_, index) => {
      const id = ids[Math.floor(index / chunkSize)] ?? ''
      return this.#handle(id, common, index % chunkSize)
    })
  }

  /** The handle of a job that was enqueued earlier, maybe by another process. */
  job<Input, Result>(
    task: Task<Input, Result>,
    id: string,
    { queue = this.#route(task) }: { readonly queue?: string } = {},
  ): JobHandle<Result> {
    return this.#handle(id, { task: task.name, queue })
  }

  /**
   * Starts a workflow. With an `id`, starting it again goes on with the one that is known by it.
   * @throws TaskInputError, TaskPayloadError
   */
  run<Result>(
    step: Step<void, Result>,
    input?: undefined,
    options?: { readonly id?: string },
  ): Promise<WorkflowHandle<Result>>
  run<Input, Result>(
    step: Step<Input, Result>,
    input: NoInfer<Input>,
    options?: { readonly id?: string },
  ): Promise<WorkflowHandle<Result>>
  async run<Result>(
    step: Step<never, Result>,
    input?: unknown,
    { id = randomUUID() }: { readonly id?: string } = {},
  ): Promise<WorkflowHandle<Result>> {
    this.#requireOpen()
    requireName('id', id)
    const plan = mapSteps(planOf(step), (each) => {
      if (each.input !== undefined) {
        encodePayload(each.task, 'input', each.input.value, this.#maxInputBytes)
      }
      return { ...each, queue: this.#routed(each.task) ?? each.queue }
    })
    if (!('plan' in step)) step.check(input)
    await this.#workflows.start(id, plan, input)
    return this.workflow<Result>(id)
  }

  /** The handle of a workflow that was started earlier, maybe by another process. */
  workflow<Result = unknown>(id: string): WorkflowHandle<Result> {
    return new EngineWorkflowHandle<Result>(id, this.#workflows, this.#clock)
  }

  /**
   * Has a job made again and again. The same id replaces what it stood for; the same times go on as
   * they were, so that calling it at each start of a process changes nothing.
   * @throws TaskInputError, TaskPayloadError, RangeError for a wrong option
   */
  async schedule<Input>(
    id: string,
    task: Task<Input>,
    input: NoInfer<Input>,
    options: ScheduleOptions,
  ): Promise<void> {
    this.#requireOpen()
    requireName('id', id)
    const { missed = 'one', overlap = 'allow', priority, queue } = options
    const nowMs = this.#clock.now()
    const job = {
      ...this.#newJob(task, {
        ...(priority === undefined ? {} : { priority }),
        ...(queue === undefined ? {} : { queue }),
        ...(overlap === 'skip' ? { deduplicate: `schedule:${id}` } : {}),
      }),
      input: this.#encode(task, input),
    }
    await this.#schedules.set({ id, timing: timingOf(options, nowMs), missed, job }, nowMs)
    this.#startScheduler()?.reload()
    await this.#engine.signals.publish(SCHEDULE_TOPIC, id)
  }

  /** Jobs that were made already stay. `false` if there is no such schedule. */
  async unschedule(id: string): Promise<boolean> {
    const isRemoved = await this.#schedules.remove(id)
    await this.#engine.signals.publish(SCHEDULE_TOPIC, id)
    return isRemoved
  }

  schedules(): Promise<StoredSchedule[]> {
    return this.#schedules.list()
  }

  /** Starts a worker for these tasks in this process. */
  work(tasks: readonly Task[], options: WorkOptions = {}): TaskWorker {
    this.#requireOpen()
    const { metrics, random, rateLimits = {} } = this.#options
    const worker = new TaskWorker({
      ...options,
      engine: this.#engine,
      tasks,
      workflows: this.#workflows,
      route: (task) => this.#route(task),
      rateLimits,
      maxResultBytes: this.#maxResultBytes,
      idempotencyTtlMs: this.#idempotencyTtlMs,
      metrics,
      clock: this.#clock,
      ...(random === undefined ? {} : { random }),
      onClosed: (closed) => this.#workers.delete(closed),
    })
    this.#workers.add(worker)
    this.#showDepth(worker.info.queues)
    this.#startScheduler()
    return worker
  }

  /** Workers of this process that were not closed. */
  get workers(): readonly TaskWorker[] {
    return [...this.#workers]
  }

  /** How many jobs of a queue are in which state. */
  counts(queue = 'default'): Promise<QueueCounts> {
    return this.admin.counts(queue)
  }

  /** For `health.register` of `@dharma/core/health`: degraded while the engine endangers jobs, down while it does not answer. */
  healthCheck(name = 'task-queue'): CheckOptions {
    return {
      name,
      kind: 'readiness',
      check: async () => {
        const warnings = await this.#engine.warnings()
        return warnings.length === 0 ? true : degraded(warnings.join('; '))
      },
    }
  }

  /** Closes the workers started here, in time for their jobs to end, then the engine. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#depth?.[Symbol.dispose]()
    await this.#scheduler?.close()
    await Promise.all([...this.#workers].map((worker) => worker.close()))
    await this.#warned
    await this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new ClosedError('the task queue')
  }

  #handle<Result>(
    id: string,
    { task, queue }: { readonly task: string; readonly queue: string },
    index?: number,
  ): JobHandle<Result> {
    const place = { id, task, queue, ...(index === undefined ? {} : { index }) }
    return new EngineJobHandle<Result>(place, this.#engine, this.#clock)
  }

  #newJob(task: Task, options: EnqueueOptions): Omit<NewJob, 'input'> {
    const { name, maxAttempts } = task
    const queue = options.queue ?? this.#route(task)
    return { ...jobDefaults(name, options, this.#clock), task: name, queue, maxAttempts }
  }

  #encode(task: Task, input: unknown): string {
    task.check(input)
    return encodePayload(task.name, 'input', input, this.#maxInputBytes)
  }

  #route({ name, queue }: Task): string {
    return this.#routed(name) ?? queue
  }

  #routed(task: string): string | undefined {
    return this.#routes.find(([pattern]) => {
      return pattern.endsWith('*') ? task.startsWith(pattern.slice(0, -1)) : task === pattern
    })?.[1]
  }

  #startScheduler(): Scheduler | undefined {
    if (this.#options.runsSchedules === false) return undefined
    const onError = (error: Error): void => this.#report(error)
    this.#scheduler ??= new Scheduler(this.#engine, this.#schedules, this.#clock, onError)
    return this.#scheduler
  }

  #showDepth(queues: readonly string[]): void {
    const { metrics } = this.#options
    if (metrics === undefined) return
    const onError = (error: Error): void => this.#report(error)
    this.#depth ??= new QueueDepth({ engine: this.#engine, metrics, clock: this.#clock, onError })
    this.#depth.watch(queues)
  }

  async #warn(): Promise<void> {
    try {
      for (const warning of await this.#engine.warnings()) this.#report(new Error(warning))
    } catch (error) {
      if (!this.#isClosed) this.#report(toError(error))
    }
  }

  #report(error: Error): void {
    const { logger } = this.#options
    if (logger === undefined) process.emitWarning(error)
    else if (logger !== silentLogger) logger.warn({ err: error }, error.message)
  }
}
