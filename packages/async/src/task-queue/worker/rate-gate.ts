import type { Clock } from '@dharma/core'
import type { Task } from '../define-task.ts'
import type { ClaimedJob } from '../queue-engine.ts'
import type { RateLimit, StateStore } from '../state-store.ts'

/** A job that has to wait for its limit. */
export interface DeniedJob {
  readonly job: ClaimedJob
  readonly delayMs: number
}

/** A queue of which nothing may start is asked again after this time at the latest. */
const LONGEST_CLOSED_MS = 1_000

/** Holds claimed jobs back whose queue or task has started as many as its limit allows, over all workers. */
export class RateGate {
  readonly #state: StateStore
  readonly #queueLimits: Readonly<Record<string, RateLimit>>
  readonly #tasks: ReadonlyMap<string, Task>
  readonly #clock: Clock
  readonly #isOpenToAll: boolean
  readonly #closedUntilMs = new Map<string, number>()

  constructor(
    state: StateStore,
    queueLimits: Readonly<Record<string, RateLimit>>,
    tasks: ReadonlyMap<string, Task>,
    clock: Clock,
  ) {
    this.#state = state
    this.#queueLimits = queueLimits
    this.#tasks = tasks
    this.#clock = clock
    const isLimited = [...tasks.values()].some(({ rateLimit }) => rateLimit !== undefined)
    this.#isOpenToAll = !isLimited && Object.keys(queueLimits).length === 0
  }

  /** Milliseconds until the queue is worth asking again; 0 if it is now. */
  closedForMs(queue: string): number {
    const untilMs = this.#closedUntilMs.get(queue)
    if (untilMs === undefined) return 0
    const leftMs = untilMs - this.#clock.monotonicMs()
    if (leftMs > 0) return leftMs
    this.#closedUntilMs.delete(queue)
    return 0
  }

  /** Sorts jobs into those that may start now and those that may not. */
  async admit(
    jobs: readonly ClaimedJob[],
  ): Promise<{ readonly admitted: readonly ClaimedJob[]; readonly denied: readonly DeniedJob[] }> {
    if (this.#isOpenToAll) return { admitted: jobs, denied: [] }
    const denied: DeniedJob[] = []
    const byQueue = await this.#under(
      jobs,
      ({ queue }) => `queue:${queue}`,
      ({ queue }) => this.#queueLimits[queue],
      denied,
    )
    const admitted = await this.#under(
      byQueue,
      ({ task }) => `task:${task}`,
      ({ task }) => this.#tasks.get(task)?.rateLimit,
      denied,
    )
    const isStarted = new Set(admitted.map(({ queue }) => queue))
    for (const { job, delayMs } of denied) {
      if (isStarted.has(job.queue) && this.#queueLimits[job.queue] === undefined) continue
      const untilMs = this.#clock.monotonicMs() + Math.min(delayMs, LONGEST_CLOSED_MS)
      this.#closedUntilMs.set(job.queue, untilMs)
    }
    return { admitted, denied }
  }

  async #under(
    jobs: readonly ClaimedJob[],
    keyOf: (job: ClaimedJob) => string,
    limitOf: (job: ClaimedJob) => RateLimit | undefined,
    denied: DeniedJob[],
  ): Promise<ClaimedJob[]> {
    const admitted: ClaimedJob[] = []
    for (const [key, group] of Map.groupBy(jobs, keyOf)) {
      const [first] = group
      const limit = first && limitOf(first)
      if (limit === undefined) {
        admitted.push(...group)
        continue
      }
      const { granted, retryAfterMs } = await this.#state.take(`rate:${key}`, limit, group.length)
      admitted.push(...group.slice(0, granted))
      // Spread as the limit will let them in, so that they do not come back all at once.
      group.slice(granted).forEach((job, index) => {
        denied.push({ job, delayMs: retryAfterMs + (index * limit.perMs) / limit.max })
      })
    }
    return admitted
  }
}
