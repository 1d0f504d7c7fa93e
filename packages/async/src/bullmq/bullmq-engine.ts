import { ClosedError, toError, type Clock } from '@dharma/core'
import { Job, Queue, type JobType, type WorkerOptions } from 'bullmq'
import type { Redis } from 'ioredis'
import type {
  ClaimedJob,
  ClaimRequest,
  JobInfo,
  JobOutcome,
  JobState,
  NewJob,
  Page,
  QueueCounts,
  QueueEngine,
  QueueEvent,
  RunFailure,
} from '../task-queue/index.ts'
import type { LeaseKeeper } from '../task-queue/lease/lease-keeper.ts'
import { ClaimLane, retryDelays } from './claim-lane.ts'
import { jobInfo, jobOptions, type Retention } from './job-record.ts'
import { failuresOf, JobWatcher } from './job-watcher.ts'
import { createLeaseRenewal, leaseOf } from './lease-renewal.ts'
import { MarkerWatch } from './marker-watch.ts'
import { RedisSignals } from './redis-signals.ts'
import { RedisState } from './redis-state.ts'
import { redisWarnings } from './redis-warnings.ts'

export interface BullmqSettings extends Retention {
  readonly redis: Redis
  readonly prefix: string
  readonly leaseMs: number
  readonly clock: Clock
  readonly onError: (error: Error) => void
  /** Closes what was opened for the engine. */
  readonly release: () => void
}

const STATES: Readonly<Record<JobState, JobType[]>> = {
  waiting: ['wait', 'prioritized'],
  delayed: ['delayed'],
  active: ['active'],
  completed: ['completed'],
  failed: ['failed'],
}

/** Markers can be lost with a connection, so queues are asked this often at least. */
const LOOK_EVERY_MS = 5_000

const endedKey = (queue: string, jobId: string): string => `ended:${queue}:${jobId}`

/** The engine interface in terms of BullMQ's queues: its scripts claim and end jobs, its tools can read all. */
export class BullmqEngine implements QueueEngine {
  readonly leaseMs: number
  readonly state: RedisState
  readonly signals: RedisSignals
  readonly #settings: BullmqSettings
  readonly #queues = new Map<string, Queue>()
  readonly #lanes = new Map<string, ClaimLane>()
  readonly #watchers = new Map<string, JobWatcher>()
  readonly #markers: MarkerWatch
  readonly #keeper: LeaseKeeper
  readonly #closed = new AbortController()

  constructor(settings: BullmqSettings) {
    const { redis, prefix, leaseMs, onError } = settings
    this.#settings = settings
    this.leaseMs = leaseMs
    this.state = new RedisState(redis, prefix)
    this.signals = new RedisSignals(redis, prefix, onError)
    const keyOf = (queue: string): string => this.#queue(queue).toKey('marker')
    this.#markers = new MarkerWatch({ redis, keyOf, onError })
    this.#keeper = createLeaseRenewal(redis, { prefix, leaseMs }, onError)
  }

  async enqueue(jobs: readonly NewJob[]): Promise<string[]> {
    const nowMs = this.#settings.clock.now()
    const byQueue = Map.groupBy(jobs, ({ queue }) => queue)
    const ids = new Map<NewJob, string>()
    await Promise.all(
      [...byQueue].map(async ([name, group]) => {
        const stored = await this.#queue(name).addBulk(
          group.map((job) => ({
            name: job.task,
            data: JSON.parse(job.input) as unknown,
            opts: jobOptions(job, nowMs, this.#settings),
          })),
        )
        for (const [index, { id = '' }] of stored.entries()) {
          const job = group[index]
          if (job !== undefined) ids.set(job, id)
        }
      }),
    )
    return jobs.map((job) => ids.get(job) ?? '')
  }

  async claim(request: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]> {
    const names = request.queues.map(({ name }) => name)
    await this.#keeper.start()
    while (!signal.aborted && !this.#closed.signal.aborted) {
      const jobs = await this.#take(request)
      request.onAlive()
      if (jobs.length > 0) {
        if (!signal.aborted) return jobs
        await Promise.all(jobs.map((job) => this.release(job)))
        return []
      }
      const dueAtMs = Math.min(...names.map((name) => this.#lane(name).dueAtMs))
      const waitMs = Math.max(1, Math.min(LOOK_EVERY_MS, dueAtMs - Date.now()))
      const marker = await this.#markers.wait(names, waitMs, signal)
      if (marker === undefined || marker.readyAtMs <= Date.now()) continue
      // The marker of a delayed job: what it said is kept, and the wait goes on up to then.
      const lane = this.#lane(marker.queue)
      lane.dueAtMs = Math.min(lane.dueAtMs, marker.readyAtMs)
    }
    return []
  }

  complete(job: ClaimedJob, result: string): Promise<boolean> {
    return this.#ended(job, (lane) => lane.complete(job, JSON.parse(result)))
  }

  async fail(
    job: ClaimedJob,
    failure: RunFailure,
    retryDelayMs: number | undefined,
  ): Promise<boolean> {
    const { kind, reason } = failure
    if (kind === 'cancelled')
      await this.#remember(job.queue, job.id, { state: 'failed', reason, kind })
    return this.#ended(job, (lane) => lane.fail(job, failure, retryDelayMs))
  }

  async release(job: ClaimedJob, delayMs = 0): Promise<void> {
    await this.#ended(job, (lane) => lane.release(job, delayMs))
  }

  progress(job: ClaimedJob, value: string): Promise<void> {
    return this.#lane(job.queue).progress(job, JSON.parse(value))
  }

  async cancel(
    queue: string,
    jobId: string,
    reason: string,
  ): Promise<'cancelled' | 'running' | 'unknown'> {
    const job = await Job.fromId(this.#queue(queue), jobId)
    if (job === undefined || job.finishedOn !== undefined) return 'unknown'
    if (await job.isActive()) return 'running'
    // First the outcome, since whoever waits for it looks as soon as the job is gone.
    await this.#remember(queue, jobId, { state: 'failed', reason, kind: 'cancelled' })
    try {
      await job.remove()
      return 'cancelled'
    } catch {
      // A worker has it now.
      await this.state.remove(endedKey(queue, jobId))
      return (await job.isActive()) ? 'running' : 'unknown'
    }
  }

  outcome(queue: string, jobId: string, signal: AbortSignal): Promise<JobOutcome | undefined> {
    return this.#watcher(queue).outcome(jobId, AbortSignal.any([signal, this.#closed.signal]))
  }

  async job(queue: string, jobId: string): Promise<JobInfo | undefined> {
    const job = await Job.fromId(this.#queue(queue), jobId)
    if (job === undefined) return undefined
    const state = await job.getState()
    const known = Object.keys(STATES).find((each) => each === state) as JobState | undefined
    return jobInfo(job, queue, known ?? 'waiting', await failuresOf(this.#queue(queue), jobId))
  }

  async jobs(queue: string, state: JobState, { offset, limit }: Page): Promise<JobInfo[]> {
    const stored = this.#queue(queue)
    const last = offset + limit - 1
    const jobs = await stored.getJobs(STATES[state], offset, last, state === 'waiting')
    const found = jobs.slice(0, limit).filter((job) => job !== undefined)
    return Promise.all(
      found.map(async (job) => jobInfo(job, queue, state, await failuresOf(stored, job.id ?? ''))),
    )
  }

  async replay(queue: string, jobId: string): Promise<boolean> {
    const stored = this.#queue(queue)
    const job = await Job.fromId(stored, jobId)
    if (job === undefined || !(await job.isFailed())) return false
    // The count of crashes, which BullMQ has no call to reset.
    await this.#settings.redis.hdel(stored.toKey(jobId), 'stc')
    await job.retry('failed', { resetAttemptsMade: true })
    return true
  }

  pause(queue: string): Promise<void> {
    return this.#queue(queue).pause()
  }

  resume(queue: string): Promise<void> {
    return this.#queue(queue).resume()
  }

  isPaused(queue: string): Promise<boolean> {
    return this.#queue(queue).isPaused()
  }

  drain(queue: string): Promise<void> {
    return this.#queue(queue).drain(true)
  }

  async counts(queue: string): Promise<QueueCounts> {
    const counts = await this.#queue(queue).getJobCounts(...Object.values(STATES).flat())
    return {
      waiting: (counts['wait'] ?? counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0),
      delayed: counts['delayed'] ?? 0,
      active: counts['active'] ?? 0,
      completed: counts['completed'] ?? 0,
      failed: counts['failed'] ?? 0,
    }
  }

  subscribe(queue: string, listener: (event: QueueEvent) => void): Promise<AsyncDisposable> {
    return this.#watcher(queue).subscribe(listener)
  }

  warnings(): Promise<readonly string[]> {
    return redisWarnings(this.#settings.redis)
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort(new ClosedError('the BullMQ engine'))
    this.#markers.close()
    for (const lane of this.#lanes.values()) lane.close()
    await this.#keeper.close()
    await Promise.all([...this.#watchers.values()].map((watcher) => watcher.close()))
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()))
    this.signals.close()
    this.#settings.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #take({ queues, count, holdMs, onLost }: ClaimRequest): Promise<ClaimedJob[]> {
    const taken: { readonly job: ClaimedJob; readonly token: string }[] = []
    const isEmpty = new Set<string>()
    for (const { name, share } of queues) {
      const wanted = Math.min(share, count - taken.length)
      const found = await this.#lane(name).take(wanted)
      if (found.length === 0 && wanted > 0) isEmpty.add(name)
      taken.push(...found)
    }
    for (const { name } of queues) {
      if (taken.length >= count || isEmpty.has(name)) continue
      taken.push(...(await this.#lane(name).take(count - taken.length)))
    }
    if (taken.length > 0) {
      this.#keeper.hold(
        taken.map(({ job, token }) => ({
          lease: leaseOf(job, token, holdMs),
          onLost: () => onLost(job),
        })),
      )
    }
    return taken.map(({ job }) => job)
  }

  async #ended(job: ClaimedJob, end: (lane: ClaimLane) => Promise<boolean>): Promise<boolean> {
    const lane = this.#lane(job.queue)
    const token = lane.tokenOf(job)
    try {
      return await end(lane)
    } finally {
      if (token !== undefined) this.#keeper.drop(token)
    }
  }

  /** An outcome that the queue itself does not keep. */
  async #remember(queue: string, jobId: string, outcome: JobOutcome): Promise<void> {
    const { resultTtlMs } = this.#settings
    await this.state.put(endedKey(queue, jobId), JSON.stringify(outcome), { ttlMs: resultTtlMs })
  }

  #queue(name: string): Queue {
    return this.#kept(this.#queues, name, () => {
      const { redis, prefix, leaseMs, onError } = this.#settings
      // BullMQ's scripts read a worker's options from whoever runs them.
      const options: WorkerOptions = {
        connection: redis,
        prefix,
        lockDuration: leaseMs,
        stalledInterval: stalledEveryMs(leaseMs),
        // How often a job may end its worker is its task's `maxCrashes`, which our worker checks.
        maxStalledCount: 1_000_000,
        settings: { backoffStrategy: (_made, _type, _error, job) => delayOf(job) },
      }
      const queue = new Queue(name, options)
      queue.on('error', (error) => onError(toError(error)))
      return queue
    })
  }

  #lane(name: string): ClaimLane {
    return this.#kept(this.#lanes, name, () => {
      const { leaseMs, onError } = this.#settings
      const queue = this.#queue(name)
      return new ClaimLane({ queue, stalledEveryMs: stalledEveryMs(leaseMs), onError })
    })
  }

  #watcher(name: string): JobWatcher {
    return this.#kept(this.#watchers, name, () => {
      const { redis, prefix, onError } = this.#settings
      const formerOutcome = async (jobId: string): Promise<JobOutcome | undefined> => {
        const entry = await this.state.get(endedKey(name, jobId))
        return entry && (JSON.parse(entry.value) as JobOutcome)
      }
      return new JobWatcher({ queue: this.#queue(name), redis, prefix, formerOutcome, onError })
    })
  }

  #kept<Value>(values: Map<string, Value>, name: string, make: () => Value): Value {
    const known = values.get(name)
    if (known !== undefined) return known
    if (this.#closed.signal.aborted) throw new ClosedError('the BullMQ engine')
    const made = make()
    values.set(name, made)
    return made
  }
}

/** A job is taken over when a look finds it without a lease that an earlier look found leased. */
function stalledEveryMs(leaseMs: number): number {
  return Math.ceil(leaseMs / 4)
}

function delayOf(job: Pick<Job, 'id'> | undefined): number {
  return job instanceof Job ? (retryDelays.get(job) ?? 0) : 0
}
