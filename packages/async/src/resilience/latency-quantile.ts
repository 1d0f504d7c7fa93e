/** Options of {@link LatencyQuantile}. */
export interface LatencyQuantileOptions {
  /** Above 0 and below 1. @default 0.95 */
  readonly quantile?: number
  /** Latest samples that are kept. At least `minSamples`. @default 512 */
  readonly maxSamples?: number
  /** Samples below which there is no answer. At least 1. @default 50 */
  readonly minSamples?: number
}

/** Samples added before the quantile is found again: sorting costs as much as many calls. */
const REFRESH_EVERY = 32

/** How long the slowest calls take at present, over the latest samples. */
export class LatencyQuantile {
  readonly #quantile: number
  readonly #maxSamples: number
  readonly #minSamples: number
  readonly #samples: number[] = []
  #added = 0
  #valueMs = Infinity

  /** @throws RangeError when an option is out of its range. */
  constructor(options: LatencyQuantileOptions = {}) {
    const { quantile = 0.95, maxSamples = 512, minSamples = 50 } = options
    if (!(quantile > 0 && quantile < 1)) {
      throw new RangeError(`quantile must be above 0 and below 1, got ${quantile}`)
    }
    if (!(Number.isInteger(minSamples) && minSamples >= 1)) {
      throw new RangeError(`minSamples must be a whole number of at least 1, got ${minSamples}`)
    }
    if (!(Number.isInteger(maxSamples) && maxSamples >= minSamples)) {
      throw new RangeError(
        `maxSamples must be a whole number of at least minSamples (${minSamples}), got ${maxSamples}`,
      )
    }
    this.#quantile = quantile
    this.#maxSamples = maxSamples
    this.#minSamples = minSamples
  }

  /** `Infinity` while there are too few samples. */
  get valueMs(): number {
    return this.#valueMs
  }

  add(latencyMs: number): void {
    this.#samples[this.#added % this.#maxSamples] = latencyMs
    this.#added += 1
    if (this.#added < this.#minSamples) return
    if (this.#added === this.#minSamples || this.#added % REFRESH_EVERY === 0) {
      const sorted = this.#samples.toSorted((a, b) => a - b)
      this.#valueMs = sorted[Math.ceil(this.#quantile * sorted.length) - 1] as number
    }
  }
}
