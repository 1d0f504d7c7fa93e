import { randomUUID } from 'node:crypto'
import { toError } from '@dharma/core'
import { UnrecoverableError, Worker, type Job } from 'bullmq'
import type { ClaimedJob } from '../task-queue/index.ts'
import type { BullmqSettings } from './bullmq-engine.ts'

interface Lease {
  readonly job: Job
  readonly token: string
  retryDelayMs: number
}

/** Asked for at once at most; each is a command of its own, all in one round trip. */
const MAX_EAGER = 32

/** The jobs that this process has leased from one queue, by a BullMQ worker without a processor. */
export class ClaimLane {
  readonly #queue: string
  readonly #worker: Worker
  readonly #leaseMs: number
  readonly #leases = new Map<string, Lease>()
  /** Jobs asked for beside the first: grows while the queue gives them, so that idle queues cost little. */
  #eager = 0

  constructor(queue: string, { connection, prefix, leaseMs, onError }: BullmqSettings) {
    this.#queue = queue
    this.#leaseMs = leaseMs
    this.#worker = new Worker(queue, null, {
      connection,
      prefix,
      autorun: false,
      lockDuration: leaseMs,
      stalledInterval: leaseMs / 2,
      // How often a job may be cut short is the task's `maxAttempts`, which the worker checks.
      maxStalledCount: 1_000_000,
      settings: {
        backoffStrategy: (_attempts, _type, _error, job) => {
          return this.#leases.get(job?.id ?? '')?.retryDelayMs ?? 0
        },
      },
    })
    this.#worker.on('error', (error) => onError(toError(error)))
    this.#worker.startStalledCheckTimer().catch((error: unknown) => onError(toError(error)))
  }

  async claim(count: number, signal: AbortSignal): Promise<ClaimedJob[]> {
    if (signal.aborted) return []
    const first = (await this.#next(false)) ?? (await this.#waitForOne(signal))
    if (first === undefined) return []
    const more = Math.min(count - 1, this.#eager)
    const others = await Promise.all(Array.from({ length: more }, () => this.#next(false)))
    const found = others.filter((job) => job !== undefined)
    this.#eager = found.length === more ? Math.min(MAX_EAGER, more * 2 + 1) : found.length
    return [first, ...found]
  }

  /** Renews leases in one script; the ids of those that are no longer ours come back. */
  async extend(jobs: readonly ClaimedJob[]): Promise<string[]> {
    const held = jobs.filter(({ id }) => this.#leases.has(id))
    const tokens = held.map(({ id }) => this.#leases.get(id)?.token ?? '')
    return this.#worker.extendJobLocks(
      held.map(({ id }) => id),
      tokens,
      this.#leaseMs,
    )
  }

  async complete(job: ClaimedJob, result: unknown): Promise<void> {
    await this.#end(job, ({ job: stored, token }) => stored.moveToCompleted(result, token, false))
  }

  async fail(job: ClaimedJob, reason: string, retryDelayMs: number | undefined): Promise<void> {
    await this.#end(job, (lease) => {
      lease.retryDelayMs = Math.round(retryDelayMs ?? 0)
      const error = retryDelayMs === undefined ? new UnrecoverableError(reason) : new Error(reason)
      return lease.job.moveToFailed(error, lease.token, false)
    })
  }

  async release(job: ClaimedJob, delayMs: number): Promise<void> {
    await this.#end(job, ({ job: stored, token }) => {
      if (delayMs > 0) return stored.moveToDelayed(Date.now() + delayMs, token)
      return stored.moveToWait(token)
    })
  }

  async close(): Promise<void> {
    // By force, since its blocking read would else be waited for; no job of ours is running any more.
    await this.#worker.close(true)
  }

  /** A lease that was lost has no end of its own: its new holder ends it. */
  async #end(job: ClaimedJob, move: (lease: Lease) => Promise<unknown>): Promise<void> {
    const lease = this.#leases.get(job.id)
    if (lease === undefined) return
    try {
      await move(lease)
    } finally {
      this.#leases.delete(job.id)
    }
  }

  /** Blocks until a job comes or the signal aborts; one that comes too late is given back. */
  async #waitForOne(signal: AbortSignal): Promise<ClaimedJob | undefined> {
    while (!signal.aborted) {
      const coming = this.#next(true)
      const { promise: aborted, resolve } = Promise.withResolvers<'aborted'>()
      const onAbort = (): void => resolve('aborted')
      signal.addEventListener('abort', onAbort, { once: true })
      const job = await Promise.race([coming, aborted])
      signal.removeEventListener('abort', onAbort)
      if (job === 'aborted') {
        void coming.then((late) => late && this.release(late, 0)).catch(ignoreClosing)
        return undefined
      }
      if (job !== undefined) return job
    }
    return undefined
  }

  async #next(block: boolean): Promise<ClaimedJob | undefined> {
    const token = randomUUID()
    const job = (await this.#worker.getNextJob(token, { block })) as Job | undefined
    if (job?.id === undefined) return undefined
    this.#leases.set(job.id, { job, token, retryDelayMs: 0 })
    return {
      id: job.id,
      task: job.name,
      queue: this.#queue,
      input: JSON.stringify(job.data),
      attempt: job.attemptsMade + job.stalledCounter + 1,
    }
  }
}

/** The wait ends with the connection when the engine closes; nothing was claimed then. */
function ignoreClosing(): void {}
