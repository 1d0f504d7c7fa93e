import { Registry } from 'prom-client'
import { systemClock, type Clock, type Timer } from '../clock.ts'
import type {
  Counter,
  ExpositionFormat,
  Gauge,
  GaugeOptions,
  Histogram,
  HistogramOptions,
  MetricOptions,
  MetricReading,
  Metrics,
} from '../metrics.ts'
import { requireRange } from '../range.ts'
import { MetricsHome } from './metrics-home.ts'
import { SharedSeriesStore } from './shared-series-store.ts'
import { ThreadMemoryWriter } from './thread-memory.ts'

export interface AttachSharedMetricsOptions {
  /**
   * How often gauges with a `read` are read for the other thread, 1 ms or more; the timer does not
   * keep the thread alive. @default 5000
   */
  readonly readEveryMs?: number
  /** @default systemClock */
  readonly clock?: Pick<Clock, 'setInterval'>
}

/**
 * The metrics of a worker thread, whose numbers lie in the memory that its parent made with
 * `createSharedMetrics`. `expose` and `read` give what this thread alone counted. A metric that is
 * defined otherwise by the parent is counted there as a read that failed.
 */
export class ThreadMetrics implements Metrics, AsyncDisposable {
  readonly #home: MetricsHome
  readonly #timer: Timer
  #publish = (): void => {}

  constructor(memory: SharedArrayBuffer, readEveryMs: number, clock: Pick<Clock, 'setInterval'>) {
    const writer = new ThreadMemoryWriter(memory)
    this.#home = new MetricsHome({
      registry: new Registry(),
      prefix: '',
      maxSeries: 200,
      createStore: (onReadFailed) => {
        const store = new SharedSeriesStore(writer, onReadFailed)
        this.#publish = () => store.publishReads()
        return store
      },
    })
    this.#home.keepRoomForReadFailures()
    this.#timer = clock.setInterval(() => this.#publish(), readEveryMs, { keepsAlive: false })
  }

  counter(name: string, options: MetricOptions): Counter {
    return this.#home.counter(name, options)
  }

  /** As of any metrics, but a `read` is seen by the parent only every `readEveryMs`. */
  gauge(name: string, options: GaugeOptions): Gauge {
    return this.#home.gauge(name, options)
  }

  histogram(name: string, options: HistogramOptions): Histogram {
    return this.#home.histogram(name, options)
  }

  expose(format?: ExpositionFormat): Promise<string> {
    return this.#home.expose(format)
  }

  read(name: string): MetricReading | undefined {
    return this.#home.read(name)
  }

  names(): string[] {
    return this.#home.names()
  }

  /** Ends the timer; what was counted stays. */
  close(): void {
    this.#timer.cancel()
    this.#publish()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}

/**
 * Metrics for a worker thread, from the `memory` of its parent's `createSharedMetrics`.
 * @throws TypeError when the memory is something else, or has a thread already.
 * @throws RangeError when `readEveryMs` is out of its range.
 */
export function attachSharedMetrics(
  memory: SharedArrayBuffer,
  { readEveryMs = 5000, clock = systemClock }: AttachSharedMetricsOptions = {},
): ThreadMetrics {
  requireRange('readEveryMs', readEveryMs, 1)
  return new ThreadMetrics(memory, readEveryMs, clock)
}
