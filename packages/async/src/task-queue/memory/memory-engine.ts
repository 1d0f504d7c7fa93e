import { ClosedError, systemClock, type Clock, type Timer } from '@dharma/core'
import { randomUUID } from 'node:crypto'
import type { JobInfo, JobState } from '../job-info.ts'
import type {
  ClaimedJob,
  ClaimRequest,
  JobOutcome,
  NewJob,
  Page,
  QueueCounts,
  QueueEngine,
  QueueEvent,
  RunFailure,
} from '../queue-engine.ts'
import { DeduplicationKeys } from './deduplication-keys.ts'
import { JobLists } from './job-lists.ts'
import { MemorySignals } from './memory-signals.ts'
import { MemoryState } from './memory-state.ts'
import { RetainedJobs } from './retained-jobs.ts'
import { infoOf, storedJob, type StoredJob } from './stored-job.ts'
import { Waiters } from './waiters.ts'

export interface MemoryEngineOptions {
  /** How long the outcome of a job can be asked for. Above 0. @default 3_600_000 (1 h) */
  readonly resultTtlMs?: number
  /** Outcomes kept at most, the oldest go first. At least 1. @default 10_000 */
  readonly maxResults?: number
  /** How long a dead letter is kept. Above 0. @default 604_800_000 (7 d) */
  readonly deadLetterTtlMs?: number
  /** Dead letters kept at most, the oldest go first. At least 1. @default 10_000 */
  readonly maxDeadLetters?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** An engine within this process: no server, and nothing outlives the process. */
export function memory(options: MemoryEngineOptions = {}): QueueEngine {
  return new MemoryEngine(options)
}

class MemoryEngine implements QueueEngine {
  readonly leaseMs = Infinity
  readonly state: MemoryState
  readonly signals = new MemorySignals()
  readonly #clock: Clock
  readonly #queues = new Map<string, JobLists>()
  readonly #keys = new DeduplicationKeys()
  readonly #results: RetainedJobs
  readonly #deadLetters: RetainedJobs
  readonly #claimants = new Waiters()
  readonly #observers = new Waiters()
  readonly #listeners = new Map<string, Set<(event: QueueEvent) => void>>()
  readonly #timers = new Map<StoredJob, Timer>()
  #isClosed = false

  constructor({
    resultTtlMs = 3_600_000,
    maxResults = 10_000,
    deadLetterTtlMs = 604_800_000,
    maxDeadLetters = 10_000,
    clock = systemClock,
  }: MemoryEngineOptions) {
    for (const [option, value] of Object.entries({ resultTtlMs, deadLetterTtlMs })) {
      if (!(value > 0)) throw new RangeError(`${option} must be above 0, got ${value}`)
    }
    for (const [option, value] of Object.entries({ maxResults, maxDeadLetters })) {
      if (!(value >= 1)) throw new RangeError(`${option} must be at least 1, got ${value}`)
    }
    this.#clock = clock
    this.state = new MemoryState(clock)
    const forget = (job: StoredJob): void => this.#forget(job)
    this.#results = new RetainedJobs(resultTtlMs, maxResults, forget)
    this.#deadLetters = new RetainedJobs(deadLetterTtlMs, maxDeadLetters, forget)
  }

  async enqueue(jobs: readonly NewJob[]): Promise<string[]> {
    if (this.#isClosed) throw new ClosedError('the memory engine')
    return jobs.map((job) => this.#add(job))
  }

  async claim({ queues, count }: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]> {
    const names = queues.map(({ name }) => name)
    while (!signal.aborted && !this.#isClosed) {
      const jobs: StoredJob[] = []
      for (const { name, share } of queues) {
        jobs.push(...this.#listsOf(name).take(Math.min(share, count - jobs.length)))
      }
      for (const name of names) jobs.push(...this.#listsOf(name).take(count - jobs.length))
      if (jobs.length > 0) return jobs.map((job) => this.#start(job))
      await this.#claimants.wait(names, signal)
    }
    return []
  }

  async complete(lease: ClaimedJob, result: string): Promise<boolean> {
    const job = this.#leased(lease)
    if (job !== undefined) this.#end(job, { state: 'completed', result })
    return job !== undefined
  }

  async fail(
    lease: ClaimedJob,
    failure: RunFailure,
    retryDelayMs: number | undefined,
  ): Promise<boolean> {
    const job = this.#leased(lease)
    if (job === undefined) return false
    job.failures.push(failure)
    const { kind, reason } = failure
    if (retryDelayMs === undefined) this.#end(job, { state: 'failed', reason, kind })
    else this.#makeReady(job, retryDelayMs)
    return true
  }

  async release(lease: ClaimedJob, delayMs = 0): Promise<void> {
    const job = this.#leased(lease)
    if (job === undefined) return
    job.attempt--
    this.#makeReady(job, delayMs)
  }

  async progress(lease: ClaimedJob, value: string): Promise<void> {
    const job = this.#leased(lease)
    if (job === undefined) return
    job.progress = JSON.parse(value)
    this.#emit('progress', job)
  }

  async cancel(
    queue: string,
    jobId: string,
    reason: string,
  ): Promise<'cancelled' | 'running' | 'unknown'> {
    const job = this.#find(queue, jobId)
    if (job === undefined || job.outcome !== undefined) return 'unknown'
    if (job.state === 'active') return 'running'
    this.#end(job, { state: 'failed', reason, kind: 'cancelled' })
    return 'cancelled'
  }

  async outcome(
    queue: string,
    jobId: string,
    signal: AbortSignal,
  ): Promise<JobOutcome | undefined> {
    for (;;) {
      this.#expire()
      const job = this.#find(queue, jobId)
      if (job === undefined || job.outcome !== undefined) return job?.outcome
      if (this.#isClosed) throw new ClosedError('the memory engine')
      signal.throwIfAborted()
      await this.#observers.wait([jobId], signal)
    }
  }

  async job(queue: string, jobId: string): Promise<JobInfo | undefined> {
    const job = this.#find(queue, jobId)
    return job && infoOf(job)
  }

  async jobs(queue: string, state: JobState, { offset, limit }: Page): Promise<JobInfo[]> {
    const jobs = [...this.#listsOf(queue).in(state)]
    if (state === 'waiting') jobs.sort((a, b) => a.deadlineMs - b.deadlineMs)
    else jobs.reverse()
    return jobs.slice(offset, offset + limit).map(infoOf)
  }

  async replay(queue: string, jobId: string): Promise<boolean> {
    const job = this.#find(queue, jobId)
    if (job?.outcome?.state !== 'failed' || job.outcome.kind === 'cancelled') return false
    this.#deadLetters.delete(job)
    job.outcome = undefined
    job.endedAtMs = undefined
    job.attempt = 0
    this.#makeReady(job, 0)
    return true
  }

  async pause(queue: string): Promise<void> {
    this.#listsOf(queue).isPaused = true
  }

  async resume(queue: string): Promise<void> {
    this.#listsOf(queue).isPaused = false
    this.#claimants.wake(queue)
  }

  async isPaused(queue: string): Promise<boolean> {
    return this.#listsOf(queue).isPaused
  }

  async drain(queue: string): Promise<void> {
    const lists = this.#listsOf(queue)
    for (const job of [...lists.in('waiting'), ...lists.in('delayed')]) {
      this.#timers.get(job)?.cancel()
      this.#timers.delete(job)
      this.#keys.release(job)
      this.#forget(job)
      this.#emit('removed', job)
    }
  }

  async counts(queue: string): Promise<QueueCounts> {
    this.#expire()
    return this.#listsOf(queue).counts()
  }

  async subscribe(queue: string, listener: (event: QueueEvent) => void): Promise<AsyncDisposable> {
    const listeners = this.#listeners.get(queue) ?? new Set()
    this.#listeners.set(queue, listeners)
    const own = (event: QueueEvent): void => listener(event)
    listeners.add(own)
    return { [Symbol.asyncDispose]: async () => void listeners.delete(own) }
  }

  async warnings(): Promise<readonly string[]> {
    return []
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    this.#claimants.wakeAll()
    this.#observers.wakeAll()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #add(spec: NewJob): string {
    const { byId } = this.#listsOf(spec.queue)
    const known = spec.id === undefined ? undefined : byId.get(spec.id)
    if (known !== undefined) return known.id
    const nowMs = this.#clock.monotonicMs()
    const key = this.#keys.keyOf(spec)
    const earlier = this.#keys.holder(key, nowMs)
    if (earlier !== undefined) return earlier.id
    const job = storedJob(spec.id ?? randomUUID(), spec, key, this.#clock.now())
    byId.set(job.id, job)
    this.#keys.hold(job, nowMs)
    this.#makeReady(job, spec.delayMs)
    return job.id
  }

  #start(job: StoredJob): ClaimedJob {
    const isFirst = job.startedAtMs === undefined
    job.startedAtMs = this.#clock.now()
    this.#emit('active', job)
    const { id, spec, attempt, enqueuedAtMs } = job
    const { task, queue, input, meta } = spec
    return { id, task, queue, input, attempt, crashes: 0, isFirst, enqueuedAtMs, meta }
  }

  /** The job, if this lease of it is the one that holds. */
  #leased({ queue, id, attempt }: ClaimedJob): StoredJob | undefined {
    const job = this.#find(queue, id)
    return job?.state === 'active' && job.attempt === attempt ? job : undefined
  }

  #makeReady(job: StoredJob, delayMs: number): void {
    const { queue } = job.spec
    const lists = this.#listsOf(queue)
    if (delayMs <= 0) {
      lists.add(job, this.#clock.monotonicMs())
      this.#emit('waiting', job)
      this.#claimants.wake(queue)
      return
    }
    lists.delay(job)
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(job)
      this.#makeReady(job, 0)
    }, delayMs)
    this.#timers.set(job, timer)
  }

  #end(job: StoredJob, outcome: JobOutcome): void {
    this.#timers.get(job)?.cancel()
    this.#timers.delete(job)
    this.#listsOf(job.spec.queue).end(job, outcome)
    const nowMs = this.#clock.monotonicMs()
    job.endedAtMs = this.#clock.now()
    this.#keys.release(job)
    const isCancelled = outcome.state === 'failed' && outcome.kind === 'cancelled'
    // The outcome of one that was cancelled can be asked for, but it is no dead letter.
    if (isCancelled) this.#listsOf(job.spec.queue).forget(job)
    if (outcome.state === 'failed' && !isCancelled) this.#deadLetters.add(job, nowMs)
    else this.#results.add(job, nowMs)
    this.#emit(outcome.state, job)
    this.#observers.wake(job.id)
  }

  #expire(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#results.expire(nowMs)
    this.#deadLetters.expire(nowMs)
  }

  #forget(job: StoredJob): void {
    const lists = this.#listsOf(job.spec.queue)
    lists.forget(job)
    lists.byId.delete(job.id)
    this.#keys.forget(job)
  }

  #emit(type: QueueEvent['type'], { id, spec, progress }: StoredJob): void {
    for (const listener of this.#listeners.get(spec.queue) ?? []) {
      const event = { type, queue: spec.queue, jobId: id }
      queueMicrotask(() => listener(type === 'progress' ? { ...event, progress } : event))
    }
  }

  #find(queue: string, jobId: string): StoredJob | undefined {
    return this.#queues.get(queue)?.byId.get(jobId)
  }

  #listsOf(queue: string): JobLists {
    let lists = this.#queues.get(queue)
    if (lists === undefined) {
      lists = new JobLists()
      this.#queues.set(queue, lists)
    }
    return lists
  }
}
