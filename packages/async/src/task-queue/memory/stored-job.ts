import type { JobInfo, JobState } from '../job-info.ts'
import type { JobOutcome, NewJob, RunFailure } from '../queue-engine.ts'

export interface StoredJob {
  readonly id: string
  readonly spec: NewJob
  /** Under which it is deduplicated. */
  readonly key: string | undefined
  readonly enqueuedAtMs: number
  attempt: number
  state: JobState
  outcome: JobOutcome | undefined
  failures: RunFailure[]
  progress: unknown
  startedAtMs: number | undefined
  endedAtMs: number | undefined
  /** Before which others go that would have to start earlier. */
  deadlineMs: number
}

/** A job as it comes in. */
export function storedJob(
  id: string,
  spec: NewJob,
  key: string | undefined,
  enqueuedAtMs: number,
): StoredJob {
  return {
    id,
    spec,
    key,
    enqueuedAtMs,
    attempt: 0,
    state: 'waiting',
    outcome: undefined,
    failures: [],
    progress: undefined,
    startedAtMs: undefined,
    endedAtMs: undefined,
    deadlineMs: 0,
  }
}

/** What others may know about a job. */
export function infoOf(job: StoredJob): JobInfo {
  const { id, spec, state, attempt, enqueuedAtMs, startedAtMs, endedAtMs, progress } = job
  return {
    id,
    task: spec.task,
    queue: spec.queue,
    state,
    input: JSON.parse(spec.input),
    meta: spec.meta,
    attempts: attempt,
    maxAttempts: spec.maxAttempts,
    crashes: 0,
    enqueuedAtMs,
    startedAtMs,
    endedAtMs,
    progress,
    failures: [...job.failures],
  }
}
