import type { StoredJob } from './stored-job.ts'

/** Ended jobs that can still be asked for: bounded in age and number, the oldest go first. */
export class RetainedJobs {
  readonly #ttlMs: number
  readonly #max: number
  readonly #forget: (job: StoredJob) => void
  readonly #jobs = new Map<StoredJob, number>()

  constructor(ttlMs: number, max: number, forget: (job: StoredJob) => void) {
    this.#ttlMs = ttlMs
    this.#max = max
    this.#forget = forget
  }

  add(job: StoredJob, nowMs: number): void {
    this.#jobs.set(job, nowMs)
    this.expire(nowMs)
  }

  delete(job: StoredJob): void {
    this.#jobs.delete(job)
  }

  expire(nowMs: number): void {
    for (const [job, endedMs] of this.#jobs) {
      if (this.#jobs.size <= this.#max && endedMs >= nowMs - this.#ttlMs) return
      this.#jobs.delete(job)
      this.#forget(job)
    }
  }
}
