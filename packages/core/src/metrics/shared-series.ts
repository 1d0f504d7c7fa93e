import type { ExemplarLabels } from '../metrics.ts'
import type { BucketLayout, Cells } from './bucket-layout.ts'
import { CounterSeries } from './counter-series.ts'
import { GaugeSeries } from './gauge-series.ts'
import { HistogramSeries } from './histogram-series.ts'

/*
 * Series whose numbers lie in memory that another thread reads. Only one thread writes a range, so
 * plain stores do: a float64 on its own boundary is read whole, and is never older than the reader's
 * last look by more than the time that a store takes to travel.
 */

/** A counter in shared memory: one cell. */
export class SharedCounterSeries extends CounterSeries {
  readonly #cells: Float64Array

  constructor(cells: Float64Array) {
    super()
    this.#cells = cells
  }

  inc(by = 1): void {
    if (by >= 0) (this.#cells[0] as number) += by
  }

  protected get own(): number {
    return this.#cells[0] as number
  }

  protected set own(value: number) {
    this.#cells[0] = value
  }
}

/** A gauge in shared memory: a cell for what is set, and one for what was last read. */
export class SharedGaugeSeries extends GaugeSeries {
  readonly #cells: Float64Array

  constructor(cells: Float64Array, onReadFailed: (error: unknown) => void) {
    super(onReadFailed)
    this.#cells = cells
  }

  /** Reads its functions and leaves the sum where the other thread finds it. */
  publishReads(): void {
    this.#cells[1] = this.sumOfReads() ?? 0
  }

  protected get own(): number {
    return this.#cells[0] as number
  }

  protected set own(value: number) {
    this.#cells[0] = value
  }
}

/** A histogram in shared memory: a cell for each slot, then the sum. */
export class SharedHistogramSeries extends HistogramSeries {
  readonly #cells: Float64Array

  constructor(layout: BucketLayout, cells: Float64Array) {
    super(layout)
    this.#cells = cells
  }

  observe(value: number, _exemplar?: ExemplarLabels): void {
    const slot = this.layout.slotOf(value)
    if (slot < 0) return
    ;(this.#cells[slot] as number)++
    this.ownSum += value
  }

  protected get own(): Cells {
    return this.#cells
  }

  protected get ownSum(): number {
    return this.#cells[this.layout.slots] as number
  }

  protected set ownSum(value: number) {
    this.#cells[this.layout.slots] = value
  }
}
