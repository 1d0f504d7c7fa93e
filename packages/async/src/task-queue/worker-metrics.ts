import type { Clock, Counter, Histogram, Metrics } from '@dharma/core'

/** What workers count, by task. */
export class WorkerMetrics {
  readonly #clock: Clock
  readonly #seconds: Histogram | undefined
  readonly #outcomes: Counter | undefined

  constructor(metrics: Metrics | undefined, clock: Clock) {
    this.#clock = clock
    this.#seconds = metrics?.histogram('dharma_task_run_seconds', {
      help: 'Time that one run of a task took.',
      labels: ['task'],
    })
    this.#outcomes = metrics?.counter('dharma_task_runs_total', {
      help: 'Runs of tasks by how they ended.',
      labels: ['task', 'outcome'],
    })
  }

  completed(task: string, startedMs: number): void {
    this.#ended(task, 'completed', startedMs)
  }

  failed(task: string, startedMs: number): void {
    this.#ended(task, 'failed', startedMs)
  }

  #ended(task: string, outcome: string, startedMs: number): void {
    this.#seconds?.bind(task).observe((this.#clock.monotonicMs() - startedMs) / 1000)
    this.#outcomes?.bind(task, outcome).inc()
  }
}
