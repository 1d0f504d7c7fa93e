import type { Clock } from '@dharma/core'
import { cancelJob } from './cancellation.ts'
import type { JobInfo, JobState } from './job-info.ts'
import type { Page, QueueCounts, QueueEngine, QueueEvent } from './queue-engine.ts'
import { listWorkers, type WorkerInfo } from './worker/worker-presence.ts'

/** A queue at one moment. */
export interface QueueStats extends QueueCounts {
  readonly isPaused: boolean
  /** How long ago the next job to run was enqueued; 0 when none waits. */
  readonly oldestWaitingMs: number
  /** Workers of this queue that are alive, in all processes. */
  readonly workers: number
}

const WHOLE_PAGE: Page = { offset: 0, limit: 100 }
const REPLAY_PAGE = 100

/** What operators do with queues, whatever process their jobs run in. */
export class QueueAdmin {
  readonly #engine: QueueEngine
  readonly #clock: Clock

  constructor(engine: QueueEngine, clock: Clock) {
    this.#engine = engine
    this.#clock = clock
  }

  /** How many jobs are in which state. */
  counts(queue = 'default'): Promise<QueueCounts> {
    return this.#engine.counts(queue)
  }

  async stats(queue = 'default'): Promise<QueueStats> {
    const [counts, isPaused, [next], workers] = await Promise.all([
      this.#engine.counts(queue),
      this.#engine.isPaused(queue),
      this.#engine.jobs(queue, 'waiting', { offset: 0, limit: 1 }),
      this.workers(),
    ])
    const oldestWaitingMs = next === undefined ? 0 : this.#clock.now() - next.enqueuedAtMs
    return {
      ...counts,
      isPaused,
      oldestWaitingMs: Math.max(0, oldestWaitingMs),
      workers: workers.filter(({ queues }) => queues.includes(queue)).length,
    }
  }

  /** Workers that are alive, in all processes. */
  workers(): Promise<WorkerInfo[]> {
    return listWorkers(this.#engine.state)
  }

  /** All that is known about a job. */
  job(queue: string, id: string): Promise<JobInfo | undefined> {
    return this.#engine.job(queue, id)
  }

  /** Jobs in a state; waiting ones in order, others beginning with the last that came. */
  jobs(queue: string, state: JobState, page: Page = WHOLE_PAGE): Promise<JobInfo[]> {
    return this.#engine.jobs(queue, state, page)
  }

  /** Jobs that failed for good, with every failed run, the latest first. */
  deadLetters(queue = 'default', page: Page = WHOLE_PAGE): Promise<JobInfo[]> {
    return this.#engine.jobs(queue, 'failed', page)
  }

  /** Lets dead letters run again with all their attempts, those that `when` wants. How many there were. */
  async replay(
    queue: string,
    which: { readonly ids: readonly string[] } | { readonly when: (job: JobInfo) => boolean },
  ): Promise<number> {
    const ids = 'ids' in which ? which.ids : await this.#deadIds(queue, which.when)
    let count = 0
    for (const id of ids) if (await this.#engine.replay(queue, id)) count++
    return count
  }

  /** Ends a job wherever it is. `false` if it had ended. */
  cancel(queue: string, id: string, reason = 'an operator cancelled it'): Promise<boolean> {
    return cancelJob(this.#engine, queue, id, reason)
  }

  /** No job of the queue begins until {@link resume}, in any process; those that run go on. */
  pause(queue = 'default'): Promise<void> {
    return this.#engine.pause(queue)
  }

  resume(queue = 'default'): Promise<void> {
    return this.#engine.resume(queue)
  }

  /** Removes all jobs that wait or are delayed. */
  drain(queue = 'default'): Promise<void> {
    return this.#engine.drain(queue)
  }

  /** Tells what happens in a queue, in all processes; dispose to stop. */
  subscribe(queue: string, listener: (event: QueueEvent) => void): Promise<AsyncDisposable> {
    return this.#engine.subscribe(queue, listener)
  }

  /** Taken all at once, since replaying changes what a page holds. */
  async #deadIds(queue: string, when: (job: JobInfo) => boolean): Promise<string[]> {
    const ids: string[] = []
    for (let offset = 0; ; offset += REPLAY_PAGE) {
      const jobs = await this.#engine.jobs(queue, 'failed', { offset, limit: REPLAY_PAGE })
      ids.push(...jobs.filter(when).map(({ id }) => id))
      if (jobs.length < REPLAY_PAGE) return ids
    }
  }
}
