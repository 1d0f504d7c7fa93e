import type { JobMeta, QueueCounts, RunFailure } from './queue-engine.ts'

export type JobState = keyof QueueCounts

/** All that is known about a job. */
export interface JobInfo {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly state: JobState
  /** As given; a chunk's is an array. */
  readonly input: unknown
  readonly meta: JobMeta
  /** Runs begun so far. */
  readonly attempts: number
  readonly maxAttempts: number
  /** Runs cut short by the end of their worker. */
  readonly crashes: number
  readonly enqueuedAtMs: number
  /** When its last run began. */
  readonly startedAtMs: number | undefined
  readonly endedAtMs: number | undefined
  /** What its task reported last. */
  readonly progress: unknown
  /** Every run that failed, the oldest first. Runs cut short leave none. */
  readonly failures: readonly RunFailure[]
}
