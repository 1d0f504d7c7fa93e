import type { z } from 'zod'
import { exponential, type Backoff } from '../resilience/backoff.ts'
import { TaskInputError } from './errors.ts'
import type { RateLimit } from './state-store.ts'
import { bind, type BoundOptions, type Flow } from './workflow/flow.ts'

/** What a running task is given beside its input. */
export interface TaskContext {
  readonly jobId: string
  /** Which run of this job it is, the first being 1. */
  readonly attempt: number
  /** Aborts at the soft and the hard time limit, when the job is cancelled, and when its worker gives it up. */
  readonly signal: AbortSignal
  /** When the schedule that made the job wanted it to run, in milliseconds since the epoch. */
  readonly dueMs: number | undefined
  /** Tells how far the run is: any JSON value. Shown by `job` and told to subscribers. */
  progress(value: unknown): Promise<void>
  /**
   * Does a step of the task at most once over all runs of the job that get past it: its result, a
   * JSON value, is kept and returned to later runs. A crash in the middle of the step repeats it.
   */
  once<Value>(step: string, run: () => Value | Promise<Value>): Promise<Value>
}

export interface TaskRetryOptions {
  /** Runs at most, the first included; those cut short by a crash do not count. At least 1. @default 3 */
  readonly maxAttempts?: number
  /** Pause before the next run. @default exponential, full jitter, from 200 ms to 30 s */
  readonly backoff?: Backoff
  /** Whether a failure is worth another run. Asked for no wrong input. @default every failure is */
  readonly retryIf?: (error: unknown) => boolean
  /** Ends of its worker's process in the middle of it that make the job a dead letter. At least 1. @default 3 */
  readonly maxCrashes?: number
}

export interface TaskOptions<Schema extends z.ZodType, Result> {
  /** Stands in the queue, so it must not change while jobs of it wait. Letters, digits, `.`, `_`, `-`. */
  readonly name: string
  /** Checked when a job is enqueued, and again when it runs. What it accepts must be JSON. */
  readonly input: Schema
  /**
   * Raise it when the input changes in a way that older workers do not understand: they leave jobs
   * of newer versions to newer workers. A whole number of at least 1. @default 1
   */
  readonly version?: number
  /** From the inputs of earlier versions, by version, to this one's: jobs that still wait are run too. */
  readonly upgrade?: Readonly<Record<number, (input: unknown) => unknown>>
  /** @default 'default' */
  readonly queue?: string
  readonly retry?: TaskRetryOptions
  /** Longest run; then the signal aborts and the run counts as failed. Above 0. @default 60_000 */
  readonly timeoutMs?: number
  /** When the signal aborts, so that the run can end by itself. Below `timeoutMs`. @default none */
  readonly softTimeoutMs?: number
  /** Runs of this task over all workers. @default none */
  readonly rateLimit?: RateLimit
  /** May run more than once for one job, since a crash can come after its effect. */
  readonly run: (input: z.output<Schema>, context: TaskContext) => Result | Promise<Result>
}

/** A task, checked and with its defaults: what is enqueued and what workers run. Without type arguments: any task. */
export interface Task<in Input = never, out Result = unknown> {
  /** With the version, from the second on. */
  readonly name: string
  readonly queue: string
  readonly maxAttempts: number
  readonly maxCrashes: number
  readonly backoff: Backoff
  readonly retryIf: (error: unknown) => boolean
  readonly timeoutMs: number
  readonly softTimeoutMs: number | undefined
  readonly rateLimit: RateLimit | undefined
  /** Names of earlier versions that this one can run, with what their inputs become. */
  readonly earlier: ReadonlyMap<string, (input: unknown) => unknown>
  /** @throws TaskInputError naming the fields that are wrong, never their values */
  readonly check: (input: unknown) => void
  readonly execute: (input: unknown, context: TaskContext) => Promise<Result>
  /** A step of a workflow that has its input already and ignores what the step before it returned. */
  readonly with: (input: Input, options?: BoundOptions) => Flow<unknown, Result>
}

const NAME = /^[\w.-]{1,100}$/

/**
 * Defines a task. The same definition is used where jobs are enqueued and where they run.
 * @throws RangeError naming option, limit and value
 */
export function defineTask<Schema extends z.ZodType, Result>(
  options: TaskOptions<Schema, Result>,
): Task<z.input<Schema>, Result> {
  const { name, input, version = 1, upgrade = {}, queue = 'default', retry = {}, run } = options
  const { timeoutMs = 60_000, softTimeoutMs, rateLimit } = options
  const { maxAttempts = 3, maxCrashes = 3, retryIf = always } = retry
  const { backoff = exponential({ baseMs: 200, maxMs: 30_000 }) } = retry
  for (const [option, value] of Object.entries({ name, queue })) requireName(option, value)
  const wholes = { 'retry.maxAttempts': maxAttempts, 'retry.maxCrashes': maxCrashes, version }
  for (const [option, value] of Object.entries(wholes)) {
    if (Number.isSafeInteger(value) && value >= 1) continue
    throw new RangeError(`${option} must be a whole number of at least 1, got ${value}`)
  }
  if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
  if (softTimeoutMs !== undefined && !(softTimeoutMs > 0 && softTimeoutMs < timeoutMs)) {
    throw new RangeError(
      `softTimeoutMs must be above 0 and below timeoutMs (${timeoutMs}), got ${softTimeoutMs}`,
    )
  }
  if (rateLimit !== undefined) requireRateLimit('rateLimit', rateLimit)
  const parse = (given: unknown): z.output<Schema> => {
    const parsed = input.safeParse(given)
    if (parsed.success) return parsed.data
    throw new TaskInputError(name, parsed.error.issues.map(describeIssue))
  }
  const task: Task<z.input<Schema>, Result> = {
    name: versioned(name, version),
    queue,
    maxAttempts,
    maxCrashes,
    backoff,
    retryIf,
    timeoutMs,
    softTimeoutMs,
    rateLimit,
    earlier: new Map(
      Object.entries(upgrade).map(([from, change]) => [versioned(name, Number(from)), change]),
    ),
    check: (given) => void parse(given),
    execute: async (given, context) => run(parse(given), context),
    with: (given, bound) => bind(task, given, bound),
  }
  if (task.earlier.has(task.name)) {
    throw new RangeError(`upgrade must name earlier versions, got ${version}, which is this one`)
  }
  return task
}

/** @throws RangeError unless it can stand as the name of a task or a queue in every engine */
export function requireName(option: string, value: string): void {
  if (NAME.test(value)) return
  throw new RangeError(
    `${option} must be 1 to 100 of letters, digits, '.', '_', '-', got '${value}'`,
  )
}

/** @throws RangeError naming option, limit and value */
export function requireRateLimit(option: string, { max, perMs }: RateLimit): void {
  if (!(Number.isSafeInteger(max) && max >= 1)) {
    throw new RangeError(`${option}.max must be a whole number of at least 1, got ${max}`)
  }
  if (!(perMs > 0 && Number.isFinite(perMs))) {
    throw new RangeError(`${option}.perMs must be finite and above 0, got ${perMs}`)
  }
}

function versioned(name: string, version: number): string {
  return version === 1 ? name : `${name}@${version}`
}

function always(): boolean {
  return true
}

/** Path and rule; zod's message of an enum or a literal lists what is allowed, not what came. */
function describeIssue({ path, message }: z.core.$ZodIssue): string {
  return `${path.length === 0 ? 'input' : path.join('.')}: ${message}`
}
