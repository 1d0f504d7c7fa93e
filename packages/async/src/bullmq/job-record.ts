import type { Job, JobsOptions } from 'bullmq'
import { randomUUID } from 'node:crypto'
import {
  PRIORITY_AGE_MS,
  type ClaimedJob,
  type JobInfo,
  type JobMeta,
  type JobPriority,
  type JobState,
  type NewJob,
  type RunFailure,
} from '../task-queue/index.ts'

/** BullMQ keeps options that it does not know, so ours travel there and leave `data` to the input. */
export interface DharmaJobOptions extends JobsOptions {
  readonly dharma?: JobMeta
}

export interface Retention {
  readonly resultTtlMs: number
  readonly maxResults: number
  readonly deadLetterTtlMs: number
  readonly maxDeadLetters: number
}

const PRIORITY_EPOCH_MS = Date.UTC(2026, 0, 1)
const PRIORITY_STEP_MS = 300_000
/** BullMQ takes 21 bits: twenty years of steps. Afterwards queues are in order of arrival. */
const LAST_PRIORITY = 2 ** 21 - 1
const FAILURES_KEPT = 50

/**
 * BullMQ's priority of a job, smaller being earlier: the deadline in steps of five minutes, so that
 * a job of low priority that has waited for long comes before new ones of high priority.
 */
export function priorityOf(priority: JobPriority, readyAtMs: number): number {
  const step = Math.floor((readyAtMs - PRIORITY_EPOCH_MS) / PRIORITY_STEP_MS)
  const late = PRIORITY_AGE_MS[priority] / PRIORITY_STEP_MS
  return Math.max(1, Math.min(LAST_PRIORITY, step + late + 1))
}

export function jobOptions(job: NewJob, nowMs: number, retention: Retention): DharmaJobOptions {
  const { id, priority, delayMs, deduplicate, maxAttempts, meta } = job
  const { resultTtlMs, maxResults, deadLetterTtlMs, maxDeadLetters } = retention
  return {
    // BullMQ's own numbers would be the same in every queue.
    jobId: id ?? randomUUID(),
    priority: priorityOf(priority, nowMs + delayMs),
    delay: delayMs,
    attempts: maxAttempts,
    backoff: { type: 'dharma' },
    keepLogs: FAILURES_KEPT,
    removeOnComplete: { age: Math.ceil(resultTtlMs / 1000), count: maxResults },
    removeOnFail: { age: Math.ceil(deadLetterTtlMs / 1000), count: maxDeadLetters },
    ...(deduplicate === undefined
      ? {}
      : {
          deduplication: {
            id: deduplicate.key,
            ...(deduplicate.ttlMs === undefined ? {} : { ttl: Math.ceil(deduplicate.ttlMs) }),
          },
        }),
    ...(Object.keys(meta).length === 0 ? {} : { dharma: meta }),
  }
}

export function claimedJob(job: Job, queue: string): ClaimedJob {
  return {
    id: job.id ?? '',
    task: job.name,
    queue,
    input: JSON.stringify(job.data),
    attempt: job.attemptsMade + job.stalledCounter + 1,
    crashes: job.stalledCounter,
    // The script that hands a job out counts it, so 1 is the first time.
    isFirst: job.attemptsStarted <= 1,
    enqueuedAtMs: job.timestamp,
    meta: metaOf(job),
  }
}

export function jobInfo(
  job: Job,
  queue: string,
  state: JobState,
  failures: readonly RunFailure[],
): JobInfo {
  return {
    id: job.id ?? '',
    task: job.name,
    queue,
    state,
    input: job.data,
    meta: metaOf(job),
    attempts: job.attemptsMade + job.stalledCounter + (state === 'active' ? 1 : 0),
    maxAttempts: job.opts.attempts ?? 1,
    crashes: job.stalledCounter,
    enqueuedAtMs: job.timestamp,
    startedAtMs: job.processedOn,
    endedAtMs: job.finishedOn,
    progress: job.progress === 0 ? undefined : job.progress,
    failures,
  }
}

function metaOf({ opts }: Job): JobMeta {
  return (opts as DharmaJobOptions).dharma ?? {}
}
