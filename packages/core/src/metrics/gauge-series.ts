import type { BoundGauge } from '../metrics.ts'
import { ThreadParts } from './thread-parts.ts'

/**
 * One series of a gauge: its own number, what is read at scrape, and the numbers of threads, added
 * up. A thread's cells are what was set there and what was last read there.
 */
export abstract class GaugeSeries implements BoundGauge {
  readonly parts: ThreadParts = new ThreadParts()
  /** Read at scrape. */
  readonly reads: Set<() => number> = new Set()
  readonly #onReadFailed: (error: unknown) => void

  constructor(onReadFailed: (error: unknown) => void) {
    this.#onReadFailed = onReadFailed
  }

  protected abstract get own(): number
  protected abstract set own(value: number)

  set(value: number): void {
    this.own = value
  }

  add(by: number): void {
    this.own += by
  }

  /** `NaN` while a read fails. */
  get value(): number {
    return this.sample() ?? Number.NaN
  }

  /** The value, or `undefined` when a read throws: a sum of some would be a wrong number. */
  sample(): number | undefined {
    const read = this.sumOfReads()
    return read === undefined ? undefined : this.own + this.parts.sum(0) + this.parts.sum(1) + read
  }

  protected sumOfReads(): number | undefined {
    try {
      let sum = 0
      for (const read of this.reads) sum += read()
      return sum
    } catch (error) {
      this.#onReadFailed(error)
      return undefined
    }
  }

  /** Forgets what an ended thread held: a gauge is of what exists now. */
  fold(part: Float64Array): void {
    this.parts.remove(part)
  }

  reset(): void {
    this.own = 0
    this.parts.reset()
  }
}

/** A gauge in the memory of this thread. */
export class LocalGaugeSeries extends GaugeSeries {
  protected own = 0
}
