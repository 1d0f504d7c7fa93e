import type { BoundCounter, BoundHistogram, Clock, Counter, Histogram, Metrics } from '@dharma/core'

interface Series {
  readonly seconds: BoundHistogram
  readonly errors: BoundCounter
}

/** Latency and errors by operation and collection; without metrics it only runs the work. */
export class OperationMetrics {
  readonly #clock: Clock
  readonly #seconds: Histogram | undefined
  readonly #errors: Counter | undefined
  readonly #series = new Map<string, Series>()

  constructor(metrics: Metrics | undefined, clock: Clock) {
    const labels = ['operation', 'collection']
    this.#clock = clock
    this.#seconds = metrics?.histogram('dharma_mongodb_operation_seconds', {
      help: 'Time from the call to the answer of a MongoDB operation.',
      labels,
    })
    this.#errors = metrics?.counter('dharma_mongodb_operation_errors_total', {
      help: 'MongoDB operations that failed.',
      labels,
    })
  }

  async time<R>(operation: string, collection: string, work: () => Promise<R>): Promise<R> {
    const series = this.#seriesOf(operation, collection)
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

  /** Counts what was timed elsewhere, from `startedMs` of the clock until now. */
  record(operation: string, collection: string, startedMs: number, hasFailed: boolean): void {
    const series = this.#seriesOf(operation, collection)
    if (hasFailed) series?.errors.inc()
    series?.seconds.observe((this.#clock.monotonicMs() - startedMs) / 1000)
  }

  #seriesOf(operation: string, collection: string): Series | undefined {
    if (this.#seconds === undefined || this.#errors === undefined) return undefined
    const key = `${operation} ${collection}`
    let series = this.#series.get(key)
    if (series === undefined) {
      series = {
        seconds: this.#seconds.bind(operation, collection),
        errors: this.#errors.bind(operation, collection),
      }
      this.#series.set(key, series)
    }
    return series
  }
}
