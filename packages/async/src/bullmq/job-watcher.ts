import { toError } from '@dharma/core'
import { Job, QueueEvents, type Queue } from 'bullmq'
import type { JobOutcome } from '../task-queue/index.ts'
import type { BullmqSettings } from './bullmq-engine.ts'

/**
 * The stream of events has gaps while its connection is down or being opened, so the job itself is
 * looked at too: after 25 ms, and from then on half as often each time, down to once a second.
 */
const FIRST_LOOK_MS = 25
const LAST_LOOK_MS = 1_000

/** Waits for jobs of one queue to end, in whatever process they run, on one stream of events. */
export class JobWatcher {
  readonly #queue: Queue
  readonly #events: QueueEvents
  readonly #waiting = new Map<string, Set<() => void>>()

  constructor(queue: Queue, { connection, prefix, onError }: BullmqSettings) {
    this.#queue = queue
    this.#events = new QueueEvents(queue.name, { connection, prefix })
    this.#events.on('error', (error) => onError(toError(error)))
    this.#events.on('completed', ({ jobId }) => this.#wake(jobId))
    this.#events.on('failed', ({ jobId }) => this.#wake(jobId))
  }

  async outcome(jobId: string, signal: AbortSignal): Promise<JobOutcome | undefined> {
    await this.#events.waitUntilReady()
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(LAST_LOOK_MS, waitMs * 2)) {
      signal.throwIfAborted()
      // Listening begins before the look, so that an end between the two is not missed.
      const ended = this.#ended(jobId, waitMs, signal)
      const job = await Job.fromId(this.#queue, jobId)
      if (job?.finishedOn === undefined && job !== undefined) {
        await ended.promise
        continue
      }
      ended.cancel()
      return job === undefined ? undefined : outcomeOf(job)
    }
  }

  async close(): Promise<void> {
    await this.#events.close()
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
}

/** A job may hold the reason of an earlier failure when it was completed, so its state decides. */
async function outcomeOf(job: Job): Promise<JobOutcome> {
  if (await job.isFailed()) return { state: 'failed', reason: job.failedReason ?? '' }
  return { state: 'completed', result: JSON.stringify(job.returnvalue ?? null) }
}
