import { toError, type Clock, type Gauge, type Metrics, type Timer } from '@dharma/core'
import type { JobState } from './job-info.ts'
import type { QueueCounts, QueueEngine } from './queue-engine.ts'

const LOOK_EVERY_MS = 5_000
/** Of a queue there is one for each state. */
const MAX_SERIES = 2_000
const STATES: readonly JobState[] = ['waiting', 'delayed', 'active', 'completed', 'failed']

export interface QueueDepthOptions {
  readonly engine: QueueEngine
  readonly metrics: Metrics
  readonly clock: Clock
  readonly onError: (error: Error) => void
}

/** Shows how many jobs of some queues are in which state, in all processes, as of the last look. */
export class QueueDepth implements Disposable {
  readonly #options: QueueDepthOptions
  readonly #gauge: Gauge
  readonly #queues = new Set<string>()
  readonly #counts = new Map<string, QueueCounts>()
  readonly #series = new DisposableStack()
  readonly #timer: Timer
  #isLooking = false

  constructor(options: QueueDepthOptions) {
    this.#options = options
    this.#gauge = options.metrics.gauge('dharma_task_queue_jobs', {
      help: 'Jobs of a queue by state, in all processes; completed and failed ones while they are kept.',
      labels: ['queue', 'state'],
      maxSeries: MAX_SERIES,
    })
    this.#timer = options.clock.setInterval(() => void this.#look(), LOOK_EVERY_MS, {
      keepsAlive: false,
    })
  }

  /** Looks at these queues too, now and from now on. */
  watch(queues: readonly string[]): void {
    const added = queues.filter((queue) => !this.#queues.has(queue))
    for (const queue of added) {
      this.#queues.add(queue)
      void this.#read(queue)
    }
  }

  [Symbol.dispose](): void {
    this.#timer.cancel()
    this.#series.dispose()
  }

  /** A look that waits for a server that is away is not followed by others. */
  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    await Promise.all([...this.#queues].map((queue) => this.#read(queue)))
    this.#isLooking = false
  }

  async #read(queue: string): Promise<void> {
    try {
      const counts = await this.#options.engine.counts(queue)
      if (this.#series.disposed) return
      const isFirst = !this.#counts.has(queue)
      this.#counts.set(queue, counts)
      if (isFirst) this.#show(queue)
    } catch (error) {
      // The engine is closed after this.
      if (!this.#series.disposed) this.#options.onError(toError(error))
    }
  }

  #show(queue: string): void {
    for (const state of STATES) {
      const read = (): number => this.#counts.get(queue)?.[state] ?? 0
      this.#series.use(this.#gauge.readFrom(read, queue, state))
    }
  }
}
