import type { BoundCounter, BoundGauge, BoundHistogram, Metrics } from '@dharma/core'

/** How a task ended for its caller. */
export type TaskOutcome = 'completed' | 'failed' | 'timedOut' | 'aborted' | 'crashed' | 'refused'

const OUTCOMES = ['completed', 'failed', 'timedOut', 'aborted', 'crashed', 'refused'] as const

interface BoundMetrics {
  readonly outcomes: Readonly<Record<TaskOutcome, BoundCounter>>
  readonly runSeconds: BoundHistogram
  readonly lateErrors: BoundCounter
  readonly moved: BoundCounter
  readonly workers: BoundGauge
  readonly queued: BoundGauge
  readonly ends: (reason: string) => BoundCounter
}

/** What a pool counts, for its statistics and, if there are metrics, for those too. */
export class PoolCounters {
  readonly outcomes: Record<TaskOutcome, number> = {
    completed: 0,
    failed: 0,
    timedOut: 0,
    aborted: 0,
    crashed: 0,
    refused: 0,
  }
  moved = 0
  lateErrors = 0
  workersStarted = 0
  workersEnded = 0
  readonly #bound: BoundMetrics | undefined

  constructor(pool: string, metrics: Metrics | undefined) {
    this.#bound = metrics === undefined ? undefined : bind(pool, metrics)
  }

  count(outcome: TaskOutcome): void {
    this.outcomes[outcome] += 1
    this.#bound?.outcomes[outcome].inc()
  }

  ran(durationMs: number): void {
    this.#bound?.runSeconds.observe(durationMs / 1000)
  }

  /** Tasks that go to another worker, because theirs ended or is stuck before they began. */
  countMoved(tasks: number): void {
    this.moved += tasks
    this.#bound?.moved.inc(tasks)
  }

  countLateError(): void {
    this.lateErrors += 1
    this.#bound?.lateErrors.inc()
  }

  workerEnded(reason: string): void {
    this.workersEnded += 1
    this.#bound?.ends(reason).inc()
  }

  level(workers: number, queued: number): void {
    this.#bound?.workers.set(workers)
    this.#bound?.queued.set(queued)
  }
}

function bind(pool: string, metrics: Metrics): BoundMetrics {
  const labels = ['pool']
  const tasks = metrics.counter('dharma_worker_pool_tasks_total', {
    help: 'Tasks by how they ended for their callers.',
    labels: ['pool', 'outcome'],
  })
  const ends = metrics.counter('dharma_worker_pool_worker_ends_total', {
    help: 'Workers that ended, by reason.',
    labels: ['pool', 'reason'],
  })
  const outcomes = Object.fromEntries(OUTCOMES.map((name) => [name, tasks.bind(pool, name)]))
  return {
    outcomes: outcomes as Record<TaskOutcome, BoundCounter>,
    ends: (reason) => ends.bind(pool, reason),
    runSeconds: metrics
      .histogram('dharma_worker_pool_run_seconds', {
        help: 'Time that tasks ran, measured in their workers.',
        labels,
      })
      .bind(pool),
    lateErrors: metrics
      .counter('dharma_worker_pool_late_errors_total', {
        help: 'Errors thrown in workers that no running task answered for.',
        labels,
      })
      .bind(pool),
    moved: metrics
      .counter('dharma_worker_pool_moved_tasks_total', {
        help: 'Tasks sent to another worker before they began.',
        labels,
      })
      .bind(pool),
    workers: metrics
      .gauge('dharma_worker_pool_workers', { help: 'Workers that take tasks or start.', labels })
      .bind(pool),
    queued: metrics
      .gauge('dharma_worker_pool_queued_tasks', { help: 'Tasks that wait for a worker.', labels })
      .bind(pool),
  }
}
