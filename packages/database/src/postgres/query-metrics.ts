import type { BoundCounter, BoundHistogram, Clock, Metrics } from '@dharma/core'

type Operation = 'query' | 'transaction' | 'copy'

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
    }
  }

  async time<R>(operation: Operation, work: () => Promise<R>): Promise<R> {
    const series = this.#series?.[operation]
    if (series === undefined) return work()
    const startedMs = this.#clock.monotonicMs()
    try {
      return await work()
    } catch (error) {
      series.errors.inc()
      throw error
    } finally {
      series.seconds.observe((this.#clock.monotonicMs() - startedMs) / 1000)
    }
  }
}
