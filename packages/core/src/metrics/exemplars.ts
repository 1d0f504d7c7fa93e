import type { ExemplarLabels } from '../metrics.ts'

/** An observation kept as an example of the others in its bucket. */
export interface Exemplar {
  readonly labels: ExemplarLabels
  readonly value: number
  readonly timestampSeconds: number
}

/** The last exemplar of each bucket of one series (a counter has only bucket 0). */
export class Exemplars {
  readonly #now: () => number
  readonly #byBucket = new Map<number, Exemplar>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** Keeps it, unless its labels are longer than the 128 characters that OpenMetrics allows. */
  keep(bucket: number, value: number, labels: ExemplarLabels): void {
    let length = 0
    for (const [name, text] of Object.entries(labels)) length += name.length + text.length
    if (length > LONGEST) return
    this.#byBucket.set(bucket, { labels, value, timestampSeconds: this.#now() / 1000 })
  }

  at(bucket: number): Exemplar | undefined {
    return this.#byBucket.get(bucket)
  }

  clear(): void {
    this.#byBucket.clear()
  }
}

/** OpenMetrics 1.0.0, "Exemplars". */
const LONGEST = 128
