import type { BoundHistogram, ExemplarLabels } from '../metrics.ts'
import type { BucketLayout, Cells } from './bucket-layout.ts'
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

  constructor(layout: BucketLayout, exemplars?: Exemplars) {
    this.layout = layout
    this.exemplars = exemplars
  }

  abstract observe(value: number, exemplar?: ExemplarLabels): void
  /** May be longer than the layout needs: what follows is the subclass's own. */
  protected abstract get own(): Cells
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
  cells(): Cells {
    if (this.parts.isEmpty) return this.own
    const cells = new Float64Array(this.layout.slots)
    addCells(cells, this.own, cells.length)
    this.parts.addTo(cells)
    return cells
  }

  /** Takes over what an ended thread counted. */
  fold(part: Float64Array): void {
    if (!this.parts.remove(part)) return
    addCells(this.own, part, this.layout.slots)
    this.ownSum += part[this.layout.slots] as number
  }

  reset(): void {
    for (let cell = 0; cell < this.own.length; cell++) this.own[cell] = 0
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
  // Initialized where declared, and plain: the engine then knows their shape and checks less.
  readonly #layout: BucketLayout = this.layout
  readonly #cells: number[] = Array.from({ length: this.layout.slots }, () => 0)

  observe(value: number, exemplar?: ExemplarLabels): void {
    const slot = this.#layout.slotOf(value)
    if (slot < 0) return
    ;(this.#cells[slot] as number)++
    this.ownSum += value
    if (exemplar !== undefined) this.keep(slot, value, exemplar)
  }

  protected get own(): Cells {
    return this.#cells
  }
}
