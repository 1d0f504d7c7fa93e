import type { BoundCounter, BoundHistogram, Clock, Metrics } from '@dharma/core'

export type Operation = 'query' | 'transaction' | 'copy' | 'explain'

interface Series {
  readonly seconds: BoundHistogram
  readonly errors: BoundCounter
}

/** Latency and errors by kind of operation; without metrics it only runs the work. */
export class QueryMetrics {
  readonly #clock: Clock
  readonly #series: Readonly<Record<Operation, Series>> | undefined

  constructor(metrics: Metrics | undefined, name: string, clock: Clock) {
    this.#clock = clock
    if (metrics === undefined) return
    const labels = ['database', 'operation']
    const seconds = metrics.histogram('dharma_postgres_operation_seconds', {
      help: 'Time from the call to the answer of a PostgreSQL operation, waiting included.',
      labels,
    })
    const errors = metrics.counter('dharma_postgres_operation_errors_total', {
      help: 'PostgreSQL operations that failed.',
      labels,
    })
    const seriesOf = (operation: Operation): Series => ({
      seconds: seconds.bind(name, operation),
      errors: errors.bind(name, operation),
    })
    this.#series = {
      query: seriesOf('query'),
      transaction: seriesOf('transaction'),
      copy: seriesOf('copy'),
      explain: seriesOf('explain'),
    }
  }

  /** Notes an operation that began at `startedMs` of the monotonic clock and ends now. */
  record(operation: Operation, startedMs: number, isError: boolean): void {
    const series = this.#series?.[operation]
    if (series === undefined) return
    if (isError) series.errors.inc()
    series.seconds.observe((this.#clock.monotonicMs() - startedMs) / 1000)
  }

  async time<R>(operation: Operation, work: () => Promise<R>): Promise<R> {
    if (this.#series === undefined) return work()
    const startedMs = this.#clock.monotonicMs()
    let isError = true
    try {
      const result = await work()
      isError = false
      return result
    } finally {
      this.record(operation, startedMs, isError)
    }
  }
}
