import { randomUUID } from 'node:crypto'
import { toError } from '@dharma/core'
import { Job, UnrecoverableError, type Queue } from 'bullmq'
import type { ClaimedJob, RunFailure } from '../task-queue/index.ts'
import { claimedJob } from './job-record.ts'

interface Lease {
  readonly job: Job
  readonly token: string
  readonly attempt: number
}

export interface ClaimLaneOptions {
  readonly queue: Queue
  /** Between two looks for leases that have ended. */
  readonly stalledEveryMs: number
  readonly onError: (error: Error) => void
}

/** Asked for at once at most; each is a command of its own, all in one round trip. */
const MAX_EAGER = 32
/** What BullMQ's scripts answer when the lease is not ours any more, or the job is gone. */
const LOST_CODES: ReadonlySet<unknown> = new Set([-1, -2, -3, -6])

/** The pause before the next run, for the backoff strategy of the queues to read. */
export const retryDelays: WeakMap<Job, number> = new WeakMap()

/** The jobs that this process has leased from one queue, by BullMQ's own scripts. */
export class ClaimLane {
  readonly #queue: Queue
  readonly #options: ClaimLaneOptions
  readonly #leases = new Map<string, Lease>()
  readonly #id = randomUUID()
  #tokens = 0
  /** Jobs asked for beside the first: grows while the queue gives them, so that idle queues cost little. */
  #eager = 0
  #stalledTimer: NodeJS.Timeout | undefined
  #isClosed = false
  /** When the next delayed job is due, as the last answer said. Milliseconds since the epoch. */
  dueAtMs: number = Infinity

  constructor(options: ClaimLaneOptions) {
    this.#options = options
    this.#queue = options.queue
    this.#lookForStalled()
  }

  /** Up to `count` jobs that are ready now. */
  async take(count: number): Promise<{ readonly job: ClaimedJob; readonly token: string }[]> {
    if (count <= 0) return []
    const first = await this.#next()
    if (first === undefined) return []
    const more = Math.min(count - 1, this.#eager)
    const settled = await Promise.allSettled(Array.from({ length: more }, () => this.#next()))
    const found: { readonly job: ClaimedJob; readonly token: string }[] = []
    for (const each of settled) {
      // Those that came are run whatever became of the others.
      if (each.status === 'rejected') this.#options.onError(toError(each.reason))
      else if (each.value !== undefined) found.push(each.value)
    }
    this.#eager = found.length === more ? Math.min(MAX_EAGER, more * 2 + 1) : found.length
    return [first, ...found]
  }

  /** The token of the lease that this claim has; `undefined` once it has ended. */
  tokenOf({ id, attempt }: ClaimedJob): string | undefined {
    const lease = this.#leases.get(id)
    return lease?.attempt === attempt ? lease.token : undefined
  }

  complete(job: ClaimedJob, result: unknown): Promise<boolean> {
    return this.#end(job, ({ job: stored, token }) => stored.moveToCompleted(result, token, false))
  }

  fail(job: ClaimedJob, failure: RunFailure, retryDelayMs: number | undefined): Promise<boolean> {
    return this.#end(job, async ({ job: stored, token }) => {
      const { reason, stack = reason, kind } = failure
      const error = retryDelayMs === undefined ? new UnrecoverableError(reason) : new Error(reason)
      error.stack = stack
      retryDelays.set(stored, Math.round(retryDelayMs ?? 0))
      if (kind === 'cancelled') {
        stored.opts.removeOnFail = true
        await stored.moveToFailed(error, token, false)
        return
      }
      // Both in one round trip; the story goes with the job, so it is there before the job has ended.
      await Promise.all([
        stored.log(JSON.stringify(failure)),
        stored.moveToFailed(error, token, false),
      ])
    })
  }

  release(job: ClaimedJob, delayMs: number): Promise<boolean> {
    return this.#end(job, ({ job: stored, token }) => {
      if (delayMs > 0) return stored.moveToDelayed(Date.now() + Math.ceil(delayMs), token)
      return stored.moveToWait(token)
    })
  }

  async progress(job: ClaimedJob, value: unknown): Promise<void> {
    await this.#leases.get(job.id)?.job.updateProgress(value as object)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#stalledTimer)
  }

  /** A lease that was lost has no end of its own: its new holder ends it. */
  async #end(job: ClaimedJob, move: (lease: Lease) => Promise<unknown>): Promise<boolean> {
    const lease = this.#leases.get(job.id)
    if (lease?.attempt !== job.attempt) return false
    try {
      await move(lease)
      return true
    } catch (error) {
      if (LOST_CODES.has((error as { readonly code?: unknown }).code)) return false
      throw error
    } finally {
      if (this.#leases.get(job.id) === lease) this.#leases.delete(job.id)
    }
  }

  async #next(): Promise<{ readonly job: ClaimedJob; readonly token: string } | undefined> {
    const token = `${this.#id}:${this.#tokens++}`
    const [data, id, , dueAtMs] = (await this.#queue.getBackend().moveToActive(token)) as [
      Parameters<typeof Job.fromJSON>[1] | undefined,
      string | undefined,
      number,
      number | undefined,
    ]
    if (!data || id === undefined) {
      this.dueAtMs = dueAtMs !== undefined && dueAtMs > 0 ? dueAtMs : Infinity
      return undefined
    }
    const stored = Job.fromJSON(this.#queue, data, id)
    const job = claimedJob(stored, this.#queue.name)
    this.#leases.set(id, { job: stored, token, attempt: job.attempt })
    return { job, token }
  }

  #lookForStalled(): void {
    this.#stalledTimer = setTimeout(() => {
      this.#queue
        .getBackend()
        .moveStalledJobsToWait()
        .catch((error: unknown) => {
          // A look under way when the lane is closed ends with its connection.
          if (!this.#isClosed) this.#options.onError(toError(error))
        })
        .finally(() => {
          if (!this.#isClosed) this.#lookForStalled()
        })
    }, this.#options.stalledEveryMs)
  }
}
