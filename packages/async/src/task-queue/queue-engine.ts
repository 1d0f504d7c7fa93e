import type { JobInfo, JobState } from './job-info.ts'
import type { SignalBus } from './signal-bus.ts'
import type { StateStore } from './state-store.ts'

/**
 * Where jobs live. Engines know nothing of schemas or functions: payloads are JSON text, and what a
 * failure means is the worker's to decide. Workflows, schedules and checkpoints are built on
 * {@link QueueEngine.state}, so an engine need not know of them. One contract suite runs on all.
 */
export interface QueueEngine extends AsyncDisposable {
  /** How long a lease lasts when nobody renews it. */
  readonly leaseMs: number
  readonly state: StateStore
  readonly signals: SignalBus
  /**
   * Stores jobs, and resolves to their ids when the engine has acknowledged all of them. A job
   * whose id its queue knows already is not stored again; two queues may know one id.
   */
  enqueue(jobs: readonly NewJob[]): Promise<string[]>
  /**
   * Jobs of some queues, leased to the caller. The engine renews the leases, off the event loop,
   * until they are ended. Waits for the first job until `signal` aborts, then resolves to none.
   */
  claim(request: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]>
  /** Ends the lease with a result. `false` if the lease was lost: another run decides. */
  complete(job: ClaimedJob, result: string): Promise<boolean>
  /**
   * Ends the lease with a failure: to run again after `retryDelayMs`, or for good if it is
   * `undefined`. Of a job that was cancelled only the outcome is kept; others become dead letters.
   * `false` if the lease was lost.
   */
  fail(job: ClaimedJob, failure: RunFailure, retryDelayMs: number | undefined): Promise<boolean>
  /** Gives a job back, to run again after `delayMs`, without counting an attempt against it. */
  release(job: ClaimedJob, delayMs?: number): Promise<void>
  /** Stores how far a job is, as JSON text, and tells the subscribers. */
  progress(job: ClaimedJob, value: string): Promise<void>
  /** Ends a job that is not running; of one that runs, only its worker can. */
  cancel(queue: string, jobId: string, reason: string): Promise<'cancelled' | 'running' | 'unknown'>
  /** How a job ended; waits for it until `signal` aborts. `undefined` for a job that is not known (any more). */
  outcome(queue: string, jobId: string, signal: AbortSignal): Promise<JobOutcome | undefined>
  job(queue: string, jobId: string): Promise<JobInfo | undefined>
  /** Jobs in a state, those that entered it last first, except that waiting ones come in order. */
  jobs(queue: string, state: JobState, page: Page): Promise<JobInfo[]>
  /** Lets a dead letter run again with all its attempts. `false` if it is none. */
  replay(queue: string, jobId: string): Promise<boolean>
  /** No job of the queue is handed out until {@link resume}; those that run go on. */
  pause(queue: string): Promise<void>
  resume(queue: string): Promise<void>
  isPaused(queue: string): Promise<boolean>
  /** Removes what waits or is delayed. */
  drain(queue: string): Promise<void>
  counts(queue: string): Promise<QueueCounts>
  /** Tells what happens in a queue, in whatever process. Gaps are possible while a connection is down. */
  subscribe(queue: string, listener: (event: QueueEvent) => void): Promise<AsyncDisposable>
  /** What endangers jobs here, in words; empty if nothing does. */
  warnings(): Promise<readonly string[]>
  close(): Promise<void>
}

/** A part of a longer list. */
export interface Page {
  readonly offset: number
  readonly limit: number
}

/** What a worker asks for. */
export interface ClaimRequest {
  /** In order of preference; `share` is what the queue gives before the others are asked. */
  readonly queues: readonly { readonly name: string; readonly share: number }[]
  /** At most so many in all. */
  readonly count: number
  /** How long leases of a task are renewed at most: a run that lasts longer is given up. */
  readonly holdMs: (task: string, meta: JobMeta) => number
  /** The lease of this job was lost: another worker has it, or will. */
  readonly onLost: (job: ClaimedJob) => void
  /** Called again and again while the engine waits for jobs and is in touch with its server. */
  readonly onAlive: () => void
}

export interface NewJob {
  /** Given where storing twice must give one job; else the engine makes one. No `:` in it. */
  readonly id: string | undefined
  readonly task: string
  readonly queue: string
  readonly input: string
  readonly priority: JobPriority
  readonly delayMs: number
  /** While a job with this key is unfinished (or for `ttlMs`), another is not stored, and its id is returned. */
  readonly deduplicate: { readonly key: string; readonly ttlMs?: number } | undefined
  /** Runs at most. The worker decides; an engine only shows it. */
  readonly maxAttempts: number
  readonly meta: JobMeta
}

/** What goes with a job for the worker to read. */
export interface JobMeta {
  /** Not to be started later. Milliseconds since the epoch. */
  readonly expiresAtMs?: number
  /** The result is kept under the job's id, and no later run has an effect. */
  readonly isIdempotent?: boolean
  /** How many inputs the input is made of. */
  readonly chunk?: number
  /** The workflow and the place in it that the result belongs to. */
  readonly workflow?: { readonly id: string; readonly path: string }
  /** The schedule that made it, and the time it was due. */
  readonly schedule?: { readonly id: string; readonly dueMs: number }
}

export type JobPriority = 'high' | 'normal' | 'low'

/**
 * How much longer than one of high priority a job may wait, and so the age at which it comes before
 * new ones of high priority. That is the deadline by which engines order what waits.
 */
export const PRIORITY_AGE_MS: Readonly<Record<JobPriority, number>> = {
  high: 0,
  normal: 600_000,
  low: 1_200_000,
}

export interface ClaimedJob {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly input: string
  /** Runs so far, this one and those cut short by a crash included. Fences off older leases. */
  readonly attempt: number
  /** How many of the runs before this one were cut short. */
  readonly crashes: number
  /** Whether it was never handed out before, replays included: then no earlier run left anything. */
  readonly isFirst: boolean
  readonly enqueuedAtMs: number
  readonly meta: JobMeta
}

/** Why a job did not end well: its code threw, its time was over before it began, it was cancelled, or it ends its workers. */
export type FailureKind = 'error' | 'expired' | 'cancelled' | 'poison'

/** One run that failed. */
export interface RunFailure {
  readonly kind: FailureKind
  readonly attempt: number
  /** The error's message. */
  readonly reason: string
  /** The error's class. */
  readonly errorName: string
  readonly stack?: string
  readonly startedAtMs: number
  readonly endedAtMs: number
  /** Host and process id of the worker. */
  readonly worker: string
  /** Pause before the next run; none where it was the last. */
  readonly retryDelayMs?: number
}

export type JobOutcome =
  | { readonly state: 'completed'; readonly result: string }
  | { readonly state: 'failed'; readonly reason: string; readonly kind: FailureKind }

export interface QueueCounts {
  /** Ready to run. */
  readonly waiting: number
  /** Not before a time still to come. */
  readonly delayed: number
  /** Leased to a worker. */
  readonly active: number
  /** Ended and still known. */
  readonly completed: number
  /** Dead letters. */
  readonly failed: number
}

/** Something that happened to a job. */
export interface QueueEvent {
  readonly type: 'waiting' | 'active' | 'progress' | 'completed' | 'failed' | 'stalled' | 'removed'
  readonly queue: string
  readonly jobId: string
  /** Of `progress`: as the task gave it. */
  readonly progress?: unknown
}
