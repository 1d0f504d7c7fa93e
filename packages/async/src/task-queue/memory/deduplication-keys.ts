import type { NewJob } from '../queue-engine.ts'
import type { StoredJob } from './stored-job.ts'

/** Which job holds which deduplication key. */
export class DeduplicationKeys {
  readonly #held = new Map<
    string,
    { readonly job: StoredJob; readonly untilMs: number | undefined }
  >()

  /** The key of a job in all queues; `undefined` if it has none. */
  keyOf({ queue, deduplicate }: NewJob): string | undefined {
    return deduplicate && `${queue}\n${deduplicate.key}`
  }

  /** The job that holds the key. */
  holder(key: string | undefined, nowMs: number): StoredJob | undefined {
    const held = key === undefined ? undefined : this.#held.get(key)
    return held !== undefined && (held.untilMs ?? Infinity) > nowMs ? held.job : undefined
  }

  hold(job: StoredJob, nowMs: number): void {
    if (job.key === undefined) return
    const ttlMs = job.spec.deduplicate?.ttlMs
    this.#held.set(job.key, { job, untilMs: ttlMs === undefined ? undefined : nowMs + ttlMs })
  }

  /** The job has ended: its key is free, unless it is kept for a time of its own. */
  release(job: StoredJob): void {
    const held = this.#heldBy(job)
    if (held !== undefined && held.untilMs === undefined) this.forget(job)
  }

  /** The job is not known any more, and so its key is free. */
  forget(job: StoredJob): void {
    if (job.key !== undefined && this.#heldBy(job) !== undefined) this.#held.delete(job.key)
  }

  #heldBy(job: StoredJob): { readonly untilMs: number | undefined } | undefined {
    const held = job.key === undefined ? undefined : this.#held.get(job.key)
    return held?.job === job ? held : undefined
  }
}
