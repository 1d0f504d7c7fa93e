/**
 * Where jobs live. Engines know nothing of schemas or functions: payloads are JSON text, and what a
 * failure means is the worker's to decide. One contract suite runs on all of them.
 */
export interface QueueEngine extends AsyncDisposable {
  /** Stores jobs, and resolves to their ids when the engine has acknowledged all of them. */
  enqueue(jobs: readonly NewJob[]): Promise<string[]>
  /**
   * Up to `count` jobs of a queue, leased to the caller. Waits for the first until `signal` aborts,
   * then resolves to none.
   */
  claim(queue: string, count: number, signal: AbortSignal): Promise<ClaimedJob[]>
  /** Renews leases, and returns the ids of those that were lost meanwhile. */
  extend(jobs: readonly ClaimedJob[]): Promise<string[]>
  complete(job: ClaimedJob, result: string): Promise<void>
  /** Ends the lease with a failure: to run again after `retryDelayMs`, or for good if it is `undefined`. */
  fail(job: ClaimedJob, reason: string, retryDelayMs: number | undefined): Promise<void>
  /** Gives a job back, to run again after `delayMs`, without counting an attempt against it. */
  release(job: ClaimedJob, delayMs?: number): Promise<void>
  /** How a job ended; waits for it until `signal` aborts. `undefined` for a job that is not known (any more). */
  outcome(queue: string, jobId: string, signal: AbortSignal): Promise<JobOutcome | undefined>
  counts(queue: string): Promise<QueueCounts>
  /** How long a lease lasts without {@link extend}. */
  readonly leaseMs: number
  close(): Promise<void>
}

export interface NewJob {
  readonly task: string
  readonly queue: string
  readonly input: string
  readonly priority: JobPriority
  readonly delayMs: number
  /** While a job with this key is unfinished, another is not stored, and its id is returned. */
  readonly deduplicate: string | undefined
  /** Runs at most. The worker decides; an engine only shows it. */
  readonly maxAttempts: number
}

export type JobPriority = 'high' | 'normal' | 'low'

export interface ClaimedJob {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly input: string
  /** Runs so far, this one and those cut short by a crash included. */
  readonly attempt: number
}

export type JobOutcome =
  | { readonly state: 'completed'; readonly result: string }
  | { readonly state: 'failed'; readonly reason: string }

export interface QueueCounts {
  /** Ready to run. */
  readonly waiting: number
  /** Not before a time still to come. */
  readonly delayed: number
  /** Leased to a worker. */
  readonly active: number
  /** Ended and still known. */
  readonly completed: number
  readonly failed: number
}
