import type { BoundCounter, BoundHistogram, Clock, Counter, Histogram, Metrics } from '@dharma/core'
import type { ClaimedJob } from '../queue-engine.ts'

/** How a run ended. */
export type RunEnd =
  | 'completed'
  | 'failed'
  | 'retried'
  | 'cancelled'
  | 'expired'
  | 'poison'
  | 'lost'

interface TaskSeries {
  readonly runSeconds: BoundHistogram
  readonly waitSeconds: BoundHistogram
  readonly ends: Map<RunEnd, BoundCounter>
}

/** What workers count, by task. */
export class WorkerMetrics {
  readonly #clock: Clock
  readonly #runSeconds: Histogram | undefined
  readonly #waitSeconds: Histogram | undefined
  readonly #ends: Counter | undefined
  readonly #series = new Map<string, TaskSeries>()

  constructor(metrics: Metrics | undefined, clock: Clock) {
    this.#clock = clock
    this.#runSeconds = metrics?.histogram('dharma_task_run_seconds', {
      help: 'Time that one run of a task took.',
      labels: ['task'],
    })
    this.#waitSeconds = metrics?.histogram('dharma_task_wait_seconds', {
      help: 'Time from enqueueing a job to the start of its first run, delays included.',
      labels: ['task'],
    })
    this.#ends = metrics?.counter('dharma_task_runs_total', {
      help: 'Runs of tasks by how they ended.',
      labels: ['task', 'outcome'],
    })
  }

  started({ task, attempt, enqueuedAtMs }: ClaimedJob): void {
    if (attempt !== 1) return
    this.#of(task)?.waitSeconds.observe(Math.max(0, this.#clock.now() - enqueuedAtMs) / 1000)
  }

  ended(task: string, end: RunEnd, startedMs: number): void {
    const series = this.#of(task)
    if (series === undefined || this.#ends === undefined) return
    series.runSeconds.observe((this.#clock.monotonicMs() - startedMs) / 1000)
    let counter = series.ends.get(end)
    if (counter === undefined) {
      counter = this.#ends.bind(task, end)
      series.ends.set(end, counter)
    }
    counter.inc()
  }

  #of(task: string): TaskSeries | undefined {
    if (this.#runSeconds === undefined || this.#waitSeconds === undefined) return undefined
    let series = this.#series.get(task)
    if (series === undefined) {
      series = {
        runSeconds: this.#runSeconds.bind(task),
        waitSeconds: this.#waitSeconds.bind(task),
        ends: new Map(),
      }
      this.#series.set(task, series)
    }
    return series
  }
}
