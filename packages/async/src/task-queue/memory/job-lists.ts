import type { JobOutcome, JobPriority, QueueCounts } from '../queue-engine.ts'

export interface StoredJob {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly input: string
  readonly priority: JobPriority
  /** Under which it is deduplicated. */
  readonly key: string | undefined
  attempt: number
  phase: keyof QueueCounts
  outcome: JobOutcome | undefined
  endedMs: number
}

const ORDER: readonly JobPriority[] = ['high', 'normal', 'low']

/** The jobs of one queue: ready ones by priority and then in order of arrival, and counts of the rest. */
export class JobLists {
  readonly #ready: Readonly<Record<JobPriority, Set<StoredJob>>> = {
    high: new Set(),
    normal: new Set(),
    low: new Set(),
  }
  readonly #counts = { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0 }
  readonly #known = new Set<StoredJob>()

  add(job: StoredJob): void {
    this.#enter(job, 'waiting')
    this.#ready[job.priority].add(job)
  }

  delay(job: StoredJob): void {
    this.#enter(job, 'delayed')
  }

  /** Up to `count` ready jobs, which become active. */
  take(count: number): StoredJob[] {
    const taken: StoredJob[] = []
    for (const priority of ORDER) {
      for (const job of this.#ready[priority]) {
        if (taken.length >= count) return taken
        this.#ready[priority].delete(job)
        this.#enter(job, 'active')
        job.attempt++
        taken.push(job)
      }
    }
    return taken
  }

  end(job: StoredJob, outcome: JobOutcome): void {
    this.#enter(job, outcome.state)
    job.outcome = outcome
  }

  forget(job: StoredJob): void {
    if (this.#known.delete(job)) this.#counts[job.phase]--
  }

  counts(): QueueCounts {
    return { ...this.#counts }
  }

  #enter(job: StoredJob, phase: keyof QueueCounts): void {
    if (this.#known.has(job)) this.#counts[job.phase]--
    this.#known.add(job)
    job.phase = phase
    this.#counts[phase]++
  }
}
