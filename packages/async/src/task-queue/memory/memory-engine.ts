import { ClosedError, systemClock, type Clock, type Timer } from '@dharma/core'
import { randomUUID } from 'node:crypto'
import type { ClaimedJob, JobOutcome, NewJob, QueueCounts, QueueEngine } from '../queue-engine.ts'
import { JobLists, type StoredJob } from './job-lists.ts'

export interface MemoryEngineOptions {
  /** How long the outcome of a job can be asked for. Above 0. @default 3_600_000 (1 h) */
  readonly resultTtlMs?: number
  /** Outcomes kept at most, the oldest go first. At least 1. @default 10_000 */
  readonly maxResults?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** An engine within this process: no server, and nothing outlives the process. */
export function memory(options: MemoryEngineOptions = {}): QueueEngine {
  return new MemoryEngine(options)
}

type Waiter = () => void

class MemoryEngine implements QueueEngine {
  readonly leaseMs = Infinity
  readonly #clock: Clock
  readonly #resultTtlMs: number
  readonly #maxResults: number
  readonly #queues = new Map<string, JobLists>()
  readonly #jobs = new Map<string, StoredJob>()
  readonly #deduplicated = new Map<string, StoredJob>()
  /** Ended jobs, oldest first. */
  readonly #ended = new Set<StoredJob>()
  readonly #claimants = new Map<string, Set<Waiter>>()
  readonly #observers = new Map<string, Set<Waiter>>()
  readonly #timers = new Set<Timer>()
  #isClosed = false

  constructor({
    resultTtlMs = 3_600_000,
    maxResults = 10_000,
    clock = systemClock,
  }: MemoryEngineOptions) {
    if (!(resultTtlMs > 0)) throw new RangeError(`resultTtlMs must be above 0, got ${resultTtlMs}`)
    if (!(maxResults >= 1)) throw new RangeError(`maxResults must be at least 1, got ${maxResults}`)
    this.#clock = clock
    this.#resultTtlMs = resultTtlMs
    this.#maxResults = maxResults
  }

  async enqueue(jobs: readonly NewJob[]): Promise<string[]> {
    if (this.#isClosed) throw new ClosedError('the memory engine')
    return jobs.map((job) => this.#add(job))
  }

  async claim(queue: string, count: number, signal: AbortSignal): Promise<ClaimedJob[]> {
    const lists = this.#listsOf(queue)
    while (!signal.aborted && !this.#isClosed) {
      const jobs = lists.take(count)
      if (jobs.length > 0) return jobs.map(claimed)
      await wakeUp(this.#claimants, queue, signal)
    }
    return []
  }

  async extend(): Promise<string[]> {
    return []
  }

  async complete({ id }: ClaimedJob, result: string): Promise<void> {
    this.#end(id, { state: 'completed', result })
  }

  async fail({ id }: ClaimedJob, reason: string, retryDelayMs: number | undefined): Promise<void> {
    if (retryDelayMs === undefined) this.#end(id, { state: 'failed', reason })
    else this.#putBack(id, retryDelayMs)
  }

  async release({ id }: ClaimedJob, delayMs = 0): Promise<void> {
    const job = this.#jobs.get(id)
    if (job?.phase !== 'active') return
    job.attempt--
    this.#makeReady(job, delayMs)
  }

  async outcome(
    _queue: string,
    jobId: string,
    signal: AbortSignal,
  ): Promise<JobOutcome | undefined> {
    for (;;) {
      const job = this.#jobs.get(jobId)
      if (job === undefined || job.outcome !== undefined) return job?.outcome
      if (this.#isClosed) throw new ClosedError('the memory engine')
      signal.throwIfAborted()
      await wakeUp(this.#observers, jobId, signal)
    }
  }

  async counts(queue: string): Promise<QueueCounts> {
    return this.#listsOf(queue).counts()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const waiters of [...this.#claimants.values(), ...this.#observers.values()])
      notify(waiters)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #add({ task, queue, input, priority, delayMs, deduplicate }: NewJob): string {
    const key = deduplicate === undefined ? undefined : `${queue}\n${deduplicate}`
    const earlier = key === undefined ? undefined : this.#deduplicated.get(key)
    if (earlier !== undefined) return earlier.id
    const job: StoredJob = {
      id: randomUUID(),
      task,
      queue,
      input,
      priority,
      key,
      attempt: 0,
      phase: 'waiting',
      outcome: undefined,
      endedMs: 0,
    }
    this.#jobs.set(job.id, job)
    if (key !== undefined) this.#deduplicated.set(key, job)
    this.#makeReady(job, delayMs)
    return job.id
  }

  #makeReady(job: StoredJob, delayMs: number): void {
    const lists = this.#listsOf(job.queue)
    if (delayMs <= 0) {
      lists.add(job)
      notify(this.#claimants.get(job.queue))
      return
    }
    lists.delay(job)
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer)
      this.#makeReady(job, 0)
    }, delayMs)
    this.#timers.add(timer)
  }

  #putBack(id: string, delayMs: number): void {
    const job = this.#jobs.get(id)
    if (job?.phase !== 'active') return
    this.#makeReady(job, delayMs)
  }

  #end(id: string, outcome: JobOutcome): void {
    const job = this.#jobs.get(id)
    if (job?.phase !== 'active') return
    this.#listsOf(job.queue).end(job, outcome)
    job.endedMs = this.#clock.monotonicMs()
    if (job.key !== undefined) this.#deduplicated.delete(job.key)
    this.#ended.add(job)
    this.#forgetOld()
    notify(this.#observers.get(id))
  }

  #forgetOld(): void {
    const oldestMs = this.#clock.monotonicMs() - this.#resultTtlMs
    for (const job of this.#ended) {
      if (this.#ended.size <= this.#maxResults && job.endedMs >= oldestMs) return
      this.#ended.delete(job)
      this.#jobs.delete(job.id)
      this.#listsOf(job.queue).forget(job)
    }
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

function claimed({ id, task, queue, input, attempt }: StoredJob): ClaimedJob {
  return { id, task, queue, input, attempt }
}

/** Waits to be notified under a key, or for the signal. */
async function wakeUp(
  waiting: Map<string, Set<Waiter>>,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const waiters = waiting.get(key) ?? new Set()
  waiting.set(key, waiters)
  const { promise, resolve } = Promise.withResolvers<void>()
  waiters.add(resolve)
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
  waiters.delete(resolve)
  if (waiters.size === 0 && waiting.get(key) === waiters) waiting.delete(key)
}

function notify(waiters: ReadonlySet<Waiter> | undefined): void {
  for (const wake of waiters ?? []) wake()
}
