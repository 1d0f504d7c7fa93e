import type { z } from 'zod'
import { TaskInputError } from './errors.ts'
import { exponential, type Backoff } from '../resilience/backoff.ts'

/** What a running task is given beside its input. */
export interface TaskContext {
  readonly jobId: string
  /** Which run of this job it is, the first being 1. */
  readonly attempt: number
  /** Aborts when the task's time is over or its worker is closed for good. */
  readonly signal: AbortSignal
}

export interface TaskRetryOptions {
  /** Runs at most, the first included. At least 1. @default 3 */
  readonly maxAttempts?: number
  /** Pause before the next run. @default exponential, full jitter, from 200 ms to 30 s */
  readonly backoff?: Backoff
  /** Whether a failure is worth another run. @default every failure is */
  readonly retryIf?: (error: unknown) => boolean
}

export interface TaskOptions<Schema extends z.ZodType, Result> {
  /** Stands in the queue, so it must not change while jobs of it wait. Letters, digits, `.`, `_`, `-`. */
  readonly name: string
  /** Checked when a job is enqueued, and again when it runs. What it accepts must be JSON. */
  readonly input: Schema
  /** @default 'default' */
  readonly queue?: string
  readonly retry?: TaskRetryOptions
  /** Longest run; then the signal aborts and the run counts as failed. Above 0. @default 60_000 */
  readonly timeoutMs?: number
  /** May run more than once for one job, since a crash can come after its effect. */
  readonly run: (input: z.output<Schema>, context: TaskContext) => Result | Promise<Result>
}

/** A task, checked and with its defaults: what is enqueued and what workers run. */
export interface Task<Input = unknown, Result = unknown> {
  readonly name: string
  readonly queue: string
  readonly maxAttempts: number
  readonly backoff: Backoff
  readonly retryIf: (error: unknown) => boolean
  readonly timeoutMs: number
  /** @throws TaskInputError naming the fields that are wrong, never their values */
  readonly check: (input: unknown) => Input
  readonly execute: (input: unknown, context: TaskContext) => Promise<Result>
}

const NAME = /^[\w.-]{1,100}$/

/**
 * Defines a task. The same definition is used where jobs are enqueued and where they run.
 * @throws RangeError naming option, limit and value
 */
export function defineTask<Schema extends z.ZodType, Result>(
  options: TaskOptions<Schema, Result>,
): Task<z.input<Schema>, Result> {
  const { name, input, queue = 'default', retry = {}, timeoutMs = 60_000, run } = options
  const { maxAttempts = 3, retryIf = always } = retry
  const { backoff = exponential({ baseMs: 200, maxMs: 30_000 }) } = retry
  for (const [option, value] of Object.entries({ name, queue })) {
    if (NAME.test(value)) continue
    throw new RangeError(
      `${option} must be 1 to 100 of letters, digits, '.', '_', '-', got '${value}'`,
    )
  }
  if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1) {
    throw new RangeError(
      `retry.maxAttempts must be a whole number of at least 1, got ${maxAttempts}`,
    )
  }
  if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
  const parse = (given: unknown): z.output<Schema> => {
    const parsed = input.safeParse(given)
    if (parsed.success) return parsed.data
    throw new TaskInputError(name, parsed.error.issues.map(describeIssue))
  }
  return {
    name,
    queue,
    maxAttempts,
    backoff,
    retryIf,
    timeoutMs,
    check: (given) => {
      parse(given)
      return given as z.input<Schema>
    },
    execute: async (given, context) => run(parse(given), context),
  }
}

function always(): boolean {
  return true
}

/** Path and rule; zod's message of an enum or a literal lists what is allowed, not what came. */
function describeIssue({ path, message }: z.core.$ZodIssue): string {
  return `${path.length === 0 ? 'input' : path.join('.')}: ${message}`
}
