import { requireWhole } from '../range.ts'
import type { MetricDefinition } from './metric-definition.ts'
import type { AnyFamily } from './metric-family.ts'
import type { MetricsHome } from './metrics-home.ts'
import { createThreadMemory, ThreadMemoryReader, type ThreadRecord } from './thread-memory.ts'

export interface CreateSharedMetricsOptions {
  /**
   * Size of the memory, of which only what is used takes real memory: a series of the `latency`
   * histogram takes 3 KiB. From 4 KiB to 1 GiB. @default 4 MiB
   */
  readonly sizeBytes?: number
}

/**
 * Memory in which one worker thread counts, as part of the metrics of this one: give `memory` to
 * the thread and let it call `attachSharedMetrics`. Its numbers are added to the series of the same
 * labels at each scrape, without its help, so a busy thread is read too. They are kept when the
 * thread ends: counters never go back.
 *
 * Close it once the thread has ended, on its `exit`: counters and histograms are then taken over,
 * gauges of the thread forgotten and the memory is free. Exemplars of a thread are not kept.
 */
export class SharedMetrics implements Disposable {
  /** To be sent to the thread, as `workerData` or in a message. */
  readonly memory: SharedArrayBuffer
  readonly #metrics: MetricsHome
  readonly #reader: ThreadMemoryReader
  readonly #families = new Map<string, AnyFamily>()
  readonly #parts: { fold(part: Float64Array): void; part: Float64Array }[] = []
  readonly #reading: Disposable
  #isClosed = false

  constructor(metrics: MetricsHome, sizeBytes: number) {
    this.memory = createThreadMemory(sizeBytes)
    this.#metrics = metrics
    this.#reader = new ThreadMemoryReader(this.memory)
    this.#reading = metrics.onBeforeRead(() => this.#adoptNew())
  }

  /** Takes over what the thread counted. What it counts after this is lost. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#adoptNew()
    this.#reading[Symbol.dispose]()
    for (const one of this.#parts) one.fold(one.part)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #adoptNew(): void {
    for (const record of this.#reader.read()) {
      if ('metric' in record) this.#adoptMetric(record.metric)
      else this.#adoptSeries(record)
    }
  }

  #adoptMetric(definition: MetricDefinition): void {
    const family = this.#metrics.adopt(definition)
    if (family !== undefined) this.#families.set(definition.name, family)
  }

  #adoptSeries({ series, labelValues, at, cells }: Extract<ThreadRecord, { at: number }>): void {
    const target = this.#families.get(series)?.bind(...labelValues)
    if (target === undefined) return
    const part = this.#reader.cells(at, cells)
    target.parts.add(part)
    this.#parts.push({ fold: (one) => target.fold(one), part })
  }
}

/**
 * Memory for one worker thread.
 * @throws RangeError when `sizeBytes` is out of its range.
 */
export function createSharedMetrics(
  metrics: MetricsHome,
  { sizeBytes = 4 * MIB }: CreateSharedMetricsOptions = {},
): SharedMetrics {
  requireWhole('sizeBytes', sizeBytes, 4096, 1024 * MIB)
  return new SharedMetrics(metrics, sizeBytes - (sizeBytes % 8))
}

const MIB = 2 ** 20
