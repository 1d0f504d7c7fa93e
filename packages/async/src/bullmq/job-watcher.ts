import { toError } from '@dharma/core'
import { Job, QueueEvents, type Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import type { JobOutcome, QueueEvent, RunFailure } from '../task-queue/index.ts'

/**
 * The stream of events has gaps while its connection is down or being opened, so the job itself is
 * looked at too: after 25 ms, and from then on half as often each time, down to once a second.
 */
const FIRST_LOOK_MS = 25
const LAST_LOOK_MS = 1_000

export interface JobWatcherOptions {
  readonly queue: Queue
  readonly redis: Redis
  readonly prefix: string
  /** How a job ended that is not in the queue any more. */
  readonly formerOutcome: (jobId: string) => Promise<JobOutcome | undefined>
  readonly onError: (error: Error) => void
}

/** Hears what happens in one queue, in whatever process, on one stream of events. */
export class JobWatcher {
  readonly #options: JobWatcherOptions
  readonly #events: Promise<QueueEvents>
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #listeners = new Set<(event: QueueEvent) => void>()

  constructor(options: JobWatcherOptions) {
    this.#options = options
    this.#events = this.#listen()
  }

  async subscribe(listener: (event: QueueEvent) => void): Promise<AsyncDisposable> {
    const own = (event: QueueEvent): void => listener(event)
    this.#listeners.add(own)
    await this.#events
    return { [Symbol.asyncDispose]: async () => void this.#listeners.delete(own) }
  }

  async outcome(jobId: string, signal: AbortSignal): Promise<JobOutcome | undefined> {
    const { queue, formerOutcome } = this.#options
    await this.#events
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(LAST_LOOK_MS, waitMs * 2)) {
      signal.throwIfAborted()
      // Listening begins before the look, so that an end between the two is not missed.
      const ended = this.#ended(jobId, waitMs, signal)
      const job = await Job.fromId(queue, jobId)
      if (job?.finishedOn === undefined && job !== undefined) {
        await ended.promise
        continue
      }
      ended.cancel()
      return job === undefined ? formerOutcome(jobId) : outcomeOf(queue, job)
    }
  }

  async close(): Promise<void> {
    const events = await this.#events
    await events.close()
  }

  /** From the last event on that there is now: what comes between this and the first read is not missed. */
  async #listen(): Promise<QueueEvents> {
    const { queue, redis, prefix, onError } = this.#options
    const [last] = await redis.xrevrange(queue.toKey('events'), '+', '-', 'COUNT', 1)
    const lastEventId = last?.[0] ?? '0'
    const events = new QueueEvents(queue.name, { connection: redis, prefix, lastEventId })
    events.on('error', (error) => onError(toError(error)))
    for (const type of ['completed', 'failed', 'removed'] as const) {
      events.on(type, ({ jobId }: { readonly jobId: string }) => {
        this.#wake(jobId)
        this.#tell({ type, queue: queue.name, jobId })
      })
    }
    for (const type of ['waiting', 'active', 'stalled'] as const) {
      events.on(type, ({ jobId }: { readonly jobId: string }) => {
        this.#tell({ type, queue: queue.name, jobId })
      })
    }
    events.on('progress', ({ jobId, data }) => {
      this.#tell({ type: 'progress', queue: queue.name, jobId, progress: data })
    })
    await events.waitUntilReady()
    return events
  }

  #ended(
    jobId: string,
    waitMs: number,
    signal: AbortSignal,
  ): { promise: Promise<void>; cancel: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiters = this.#waiting.get(jobId) ?? new Set()
    this.#waiting.set(jobId, waiters)
    const wake = (): void => {
      waiters.delete(wake)
      if (waiters.size === 0 && this.#waiting.get(jobId) === waiters) this.#waiting.delete(jobId)
      signal.removeEventListener('abort', wake)
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(wake, waitMs)
    waiters.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    return { promise, cancel: wake }
  }

  #wake(jobId: string): void {
    for (const wake of this.#waiting.get(jobId) ?? []) wake()
  }

  #tell(event: QueueEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}

/** Every failed run of a job, the oldest first. */
export async function failuresOf(queue: Queue, jobId: string): Promise<RunFailure[]> {
  const { logs } = await queue.getJobLogs(jobId)
  return logs.flatMap((row) => {
    // Other tools may write rows of their own.
    if (!row.startsWith('{"kind":')) return []
    return [JSON.parse(row) as RunFailure]
  })
}

/** A job may hold the reason of an earlier failure when it was completed, so its state decides. */
async function outcomeOf(queue: Queue, job: Job): Promise<JobOutcome> {
  if (!(await job.isFailed())) {
    return { state: 'completed', result: JSON.stringify(job.returnvalue ?? null) }
  }
  const last = (await failuresOf(queue, job.id ?? '')).at(-1)
  return { state: 'failed', reason: job.failedReason ?? '', kind: last?.kind ?? 'error' }
}
