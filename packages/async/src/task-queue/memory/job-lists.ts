import type { JobState } from '../job-info.ts'
import {
  PRIORITY_AGE_MS,
  type JobOutcome,
  type JobPriority,
  type QueueCounts,
} from '../queue-engine.ts'
import type { StoredJob } from './stored-job.ts'

const PRIORITIES: readonly JobPriority[] = ['high', 'normal', 'low']

/** The jobs of one queue: ready ones by deadline, unfinished and retained ones by state and by id. */
export class JobLists {
  isPaused = false
  readonly byId: Map<string, StoredJob> = new Map()
  /** One list a priority, each in order of deadline, since all its jobs may wait equally long. */
  readonly #ready = PRIORITIES.map(() => new Set<StoredJob>())
  readonly #byState: Readonly<Record<JobState, Set<StoredJob>>> = {
    waiting: new Set(),
    delayed: new Set(),
    active: new Set(),
    completed: new Set(),
    failed: new Set(),
  }

  add(job: StoredJob, nowMs: number): void {
    const { priority } = job.spec
    job.deadlineMs = nowMs + PRIORITY_AGE_MS[priority]
    this.#enter(job, 'waiting')
    this.#ready[PRIORITIES.indexOf(priority)]?.add(job)
  }

  delay(job: StoredJob): void {
    this.#enter(job, 'delayed')
  }

  /** Up to `count` ready jobs, which become active. */
  take(count: number): StoredJob[] {
    const taken: StoredJob[] = []
    while (taken.length < count && !this.isPaused) {
      let first: StoredJob | undefined
      for (const list of this.#ready) {
        const [head] = list
        if (head !== undefined && (first === undefined || head.deadlineMs < first.deadlineMs)) {
          first = head
        }
      }
      if (first === undefined) break
      this.#enter(first, 'active')
      first.attempt++
      taken.push(first)
    }
    return taken
  }

  end(job: StoredJob, outcome: JobOutcome): void {
    this.#enter(job, outcome.state)
    job.outcome = outcome
  }

  forget(job: StoredJob): void {
    this.#leave(job)
  }

  in(state: JobState): ReadonlySet<StoredJob> {
    return this.#byState[state]
  }

  counts(): QueueCounts {
    return {
      waiting: this.#byState.waiting.size,
      delayed: this.#byState.delayed.size,
      active: this.#byState.active.size,
      completed: this.#byState.completed.size,
      failed: this.#byState.failed.size,
    }
  }

  #enter(job: StoredJob, state: JobState): void {
    this.#leave(job)
    job.state = state
    this.#byState[state].add(job)
  }

  #leave(job: StoredJob): void {
    this.#byState[job.state].delete(job)
    if (job.state === 'waiting') this.#ready[PRIORITIES.indexOf(job.spec.priority)]?.delete(job)
  }
}
