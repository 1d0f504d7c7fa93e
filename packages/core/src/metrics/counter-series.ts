import type { BoundCounter, ExemplarLabels } from '../metrics.ts'
import type { Exemplars } from './exemplars.ts'
import { ThreadParts } from './thread-parts.ts'

/** One series of a counter: its own number and those of threads. */
export abstract class CounterSeries implements BoundCounter {
  readonly exemplars: Exemplars | undefined
  readonly parts: ThreadParts = new ThreadParts()

  constructor(exemplars?: Exemplars) {
    this.exemplars = exemplars
  }

  abstract inc(by?: number, exemplar?: ExemplarLabels): void
  protected abstract get own(): number
  protected abstract set own(value: number)

  get value(): number {
    return this.own + this.parts.sum(0)
  }

  /** Takes over what an ended thread counted. */
  fold(part: Float64Array): void {
    if (this.parts.remove(part)) this.own += part[0] as number
  }

  reset(): void {
    this.own = 0
    this.parts.reset()
    this.exemplars?.clear()
  }
}

/** A counter in the memory of this thread: incrementing it is one addition to a field. */
export class LocalCounterSeries extends CounterSeries {
  protected own = 0

  inc(by = 1, exemplar?: ExemplarLabels): void {
    if (by >= 0) this.own += by
    if (exemplar !== undefined) this.exemplars?.keep(0, by, exemplar)
  }
}
