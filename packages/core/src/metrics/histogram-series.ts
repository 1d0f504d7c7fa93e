import type { BoundHistogram, ExemplarLabels } from '../metrics.ts'
import type { BucketLayout } from './bucket-layout.ts'
import type { Exemplars } from './exemplars.ts'
import { addCells, ThreadParts } from './thread-parts.ts'

/**
 * One series of a histogram: its own counts and sum, and those of threads. A thread's cells are one
 * count for each slot of the layout, then the sum.
 */
export abstract class HistogramSeries implements BoundHistogram {
  readonly layout: BucketLayout
  readonly exemplars: Exemplars | undefined
  readonly parts: ThreadParts = new ThreadParts()
  readonly #own: Float64Array

  /** `cells` may be longer than the layout needs: what follows is the subclass's own. */
  constructor(layout: BucketLayout, cells: Float64Array, exemplars?: Exemplars) {
    this.layout = layout
    this.#own = cells
    this.exemplars = exemplars
  }

  abstract observe(value: number, exemplar?: ExemplarLabels): void
  protected abstract get ownSum(): number
  protected abstract set ownSum(value: number)

  get count(): number {
    return this.layout.count(this.cells())
  }

  get sum(): number {
    return this.ownSum + this.parts.sum(this.layout.slots)
  }

  quantile(q: number): number {
    return this.layout.quantile(this.cells(), q)
  }

  /** A count for each slot, threads included; read it at once, for it may be the live one. */
  cells(): Float64Array {
    if (this.parts.isEmpty) return this.#own
    const cells = this.#own.slice(0, this.layout.slots)
    this.parts.addTo(cells)
    return cells
  }

  /** Takes over what an ended thread counted. */
  fold(part: Float64Array): void {
    if (!this.parts.remove(part)) return
    addCells(this.#own.subarray(0, this.layout.slots), part)
    this.ownSum += part[this.layout.slots] as number
  }

  reset(): void {
    this.#own.fill(0)
    this.ownSum = 0
    this.parts.reset()
    this.exemplars?.clear()
  }

  protected keep(slot: number, value: number, exemplar: ExemplarLabels): void {
    this.exemplars?.keep(this.layout.classicBucketOf(slot), value, exemplar)
  }
}

/** A histogram in the memory of this thread. */
export class LocalHistogramSeries extends HistogramSeries {
  protected ownSum = 0
  readonly #cells: Float64Array

  constructor(layout: BucketLayout, exemplars?: Exemplars) {
    const cells = new Float64Array(layout.slots)
    super(layout, cells, exemplars)
    this.#cells = cells
  }

  observe(value: number, exemplar?: ExemplarLabels): void {
    const slot = this.layout.slotOf(value)
    if (slot < 0) return
    ;(this.#cells[slot] as number)++
    this.ownSum += value
    if (exemplar !== undefined) this.keep(slot, value, exemplar)
  }
}
