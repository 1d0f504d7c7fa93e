import { ClosedError, toError } from '@dharma/core'
import { Queue, type ConnectionOptions, type JobsOptions } from 'bullmq'
import type {
  ClaimedJob,
  JobOutcome,
  JobPriority,
  NewJob,
  QueueCounts,
  QueueEngine,
} from '../task-queue/index.ts'
import { ClaimLane } from './claim-lane.ts'
import { JobWatcher } from './job-watcher.ts'

export interface BullmqSettings {
  readonly connection: ConnectionOptions
  readonly prefix: string
  readonly leaseMs: number
  readonly resultTtlMs: number
  readonly maxResults: number
  readonly onError: (error: Error) => void
  /** Closes what was opened for the engine. */
  readonly release: () => Promise<void>
}

/** Smaller is earlier. */
const PRIORITIES: Readonly<Record<JobPriority, number>> = { high: 1, normal: 2, low: 3 }
const FAILED_TTL_SECONDS = 7 * 24 * 3600

/** The engine interface in terms of BullMQ's queues, their manual claims and their events. */
export class BullmqEngine implements QueueEngine {
  readonly leaseMs: number
  readonly #settings: BullmqSettings
  readonly #queues = new Map<string, Queue>()
  readonly #lanes = new Map<string, ClaimLane>()
  readonly #watchers = new Map<string, JobWatcher>()
  #isClosed = false

  constructor(settings: BullmqSettings) {
    this.#settings = settings
    this.leaseMs = settings.leaseMs
  }

  async enqueue(jobs: readonly NewJob[]): Promise<string[]> {
    const byQueue = Map.groupBy(jobs, ({ queue }) => queue)
    const ids = new Map<NewJob, string>()
    for (const [name, group] of byQueue) {
      const stored = await this.#queue(name).addBulk(
        group.map((job) => ({
          name: job.task,
          data: JSON.parse(job.input),
          opts: this.#options(job),
        })),
      )
      stored.forEach(({ id }, index) => {
        const job = group[index]
        if (job !== undefined && id !== undefined) ids.set(job, id)
      })
    }
    return jobs.map((job) => ids.get(job) ?? '')
  }

  claim(queue: string, count: number, signal: AbortSignal): Promise<ClaimedJob[]> {
    return this.#lane(queue).claim(count, signal)
  }

  async extend(jobs: readonly ClaimedJob[]): Promise<string[]> {
    const byQueue = Map.groupBy(jobs, ({ queue }) => queue)
    const lost = await Promise.all(
      [...byQueue].map(([queue, group]) => this.#lane(queue).extend(group)),
    )
    return lost.flat()
  }

  complete(job: ClaimedJob, result: string): Promise<void> {
    return this.#lane(job.queue).complete(job, JSON.parse(result))
  }

  fail(job: ClaimedJob, reason: string, retryDelayMs: number | undefined): Promise<void> {
    return this.#lane(job.queue).fail(job, reason, retryDelayMs)
  }

  release(job: ClaimedJob, delayMs = 0): Promise<void> {
    return this.#lane(job.queue).release(job, delayMs)
  }

  outcome(queue: string, jobId: string, signal: AbortSignal): Promise<JobOutcome | undefined> {
    return this.#watcher(queue).outcome(jobId, signal)
  }

  async counts(queue: string): Promise<QueueCounts> {
    const counts = await this.#queue(queue).getJobCounts(
      'waiting',
      'prioritized',
      'delayed',
      'active',
      'completed',
      'failed',
    )
    return {
      waiting: (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0),
      delayed: counts['delayed'] ?? 0,
      active: counts['active'] ?? 0,
      completed: counts['completed'] ?? 0,
      failed: counts['failed'] ?? 0,
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()))
    await Promise.all([...this.#watchers.values()].map((watcher) => watcher.close()))
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()))
    await this.#settings.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #options({ priority, delayMs, deduplicate, maxAttempts }: NewJob): JobsOptions {
    const { resultTtlMs, maxResults } = this.#settings
    return {
      priority: PRIORITIES[priority],
      delay: delayMs,
      attempts: maxAttempts,
      backoff: { type: 'dharma' },
      removeOnComplete: { age: Math.ceil(resultTtlMs / 1000), count: maxResults },
      removeOnFail: { age: FAILED_TTL_SECONDS },
      ...(deduplicate === undefined ? {} : { deduplication: { id: deduplicate } }),
    }
  }

  #queue(name: string): Queue {
    return this.#kept(this.#queues, name, () => {
      const queue = new Queue(name, {
        connection: this.#settings.connection,
        prefix: this.#settings.prefix,
      })
      queue.on('error', (error) => this.#settings.onError(toError(error)))
      return queue
    })
  }

  #lane(name: string): ClaimLane {
    return this.#kept(this.#lanes, name, () => new ClaimLane(name, this.#settings))
  }

  #watcher(name: string): JobWatcher {
    return this.#kept(this.#watchers, name, () => {
      return new JobWatcher(this.#queue(name), this.#settings)
    })
  }

  #kept<Value>(values: Map<string, Value>, name: string, make: () => Value): Value {
    const known = values.get(name)
    if (known !== undefined) return known
    if (this.#isClosed) throw new ClosedError('the BullMQ engine')
    const made = make()
    values.set(name, made)
    return made
  }
}
