import { createHash } from 'node:crypto'
import type { Clock } from '@dharma/core'
import { requireName } from './define-task.ts'
import type { JobMeta, JobPriority, NewJob } from './queue-engine.ts'

export interface EnqueueOptions {
  /** @default 'normal' */
  readonly priority?: JobPriority
  /** Not to be run before this many milliseconds have passed. At least 0. @default 0 */
  readonly delayMs?: number
  /** Not to be run before this moment; instead of `delayMs`. */
  readonly runAt?: Date
  /** Not to be started after this many milliseconds, delay included: it becomes a dead letter then. Above 0. @default never */
  readonly expiresInMs?: number
  /**
   * While a job with this key is unfinished, no other is stored: the handle is that job's. With
   * `ttlMs`, for that long, whether it is finished or not.
   */
  readonly deduplicate?: string | { readonly key: string; readonly ttlMs: number }
  /**
   * Jobs of a task with one key in one queue are one job with one result, which is kept for
   * the task queue's `idempotencyTtlMs`: enqueueing again gives it, and what was done is not done again.
   */
  readonly idempotencyKey?: string
  /** @default the task's, after routing */
  readonly queue?: string
}

/** What the options of one call make of each of its jobs. @throws RangeError naming option, limit and value */
export function jobDefaults(
  task: string,
  options: EnqueueOptions,
  clock: Clock,
): Pick<NewJob, 'id' | 'priority' | 'delayMs' | 'deduplicate' | 'meta'> {
  const { priority = 'normal', runAt, expiresInMs, deduplicate, idempotencyKey, queue } = options
  const nowMs = clock.now()
  const delayMs =
    runAt === undefined ? (options.delayMs ?? 0) : Math.max(0, runAt.getTime() - nowMs)
  if (!(delayMs >= 0 && Number.isFinite(delayMs))) {
    const option = runAt === undefined ? 'delayMs' : 'runAt'
    throw new RangeError(`${option} must be finite and at least 0, got ${delayMs}`)
  }
  if (runAt !== undefined && options.delayMs !== undefined) {
    throw new RangeError('delayMs and runAt cannot be given together')
  }
  if (deduplicate !== undefined && idempotencyKey !== undefined) {
    throw new RangeError('deduplicate and idempotencyKey cannot be given together')
  }
  if (expiresInMs !== undefined && !(expiresInMs > 0)) {
    throw new RangeError(`expiresInMs must be above 0, got ${expiresInMs}`)
  }
  if (typeof deduplicate === 'object' && !(deduplicate.ttlMs >= 1)) {
    throw new RangeError(`deduplicate.ttlMs must be at least 1, got ${deduplicate.ttlMs}`)
  }
  if (queue !== undefined) requireName('queue', queue)
  const meta: JobMeta = {
    ...(expiresInMs === undefined ? {} : { expiresAtMs: nowMs + expiresInMs }),
    ...(idempotencyKey === undefined ? {} : { isIdempotent: true }),
  }
  return {
    id: idempotencyKey === undefined ? undefined : idempotentId(task, idempotencyKey),
    priority,
    delayMs: Math.round(delayMs),
    deduplicate: typeof deduplicate === 'string' ? { key: deduplicate } : deduplicate,
    meta,
  }
}

/** Of any key, an id that every engine can hold. */
function idempotentId(task: string, key: string): string {
  return `once-${createHash('sha256').update(`${task}\n${key}`).digest('hex').slice(0, 40)}`
}
