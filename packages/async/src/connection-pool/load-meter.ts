const TIME_CONSTANT_MS = 5_000

/**
 * Moving averages of demand and use, exponential over 5 s, sampled at the pool's ticks. What one
 * lease lasts follows from them by Little's law, so no lease is timed.
 */
export class LoadMeter {
  #sampledMs: number
  #arrivals = 0
  #perMs = 0
  #leased = 0
  #weight = 0

  constructor(nowMs: number) {
    this.#sampledMs = nowMs
  }

  /** `arrivals` is the total since the beginning, `leased` what is out now. */
  sample(nowMs: number, arrivals: number, leased: number): void {
    const elapsedMs = nowMs - this.#sampledMs
    if (elapsedMs <= 0) return
    const kept = Math.exp(-elapsedMs / TIME_CONSTANT_MS)
    this.#perMs = kept * this.#perMs + ((1 - kept) * (arrivals - this.#arrivals)) / elapsedMs
    this.#leased = kept * this.#leased + (1 - kept) * leased
    // Averages start at 0; dividing by the weight seen so far takes that bias out.
    this.#weight = kept * this.#weight + (1 - kept)
    this.#arrivals = arrivals
    this.#sampledMs = nowMs
  }

  get arrivalsPerSecond(): number {
    return this.#weight === 0 ? 0 : (this.#perMs * 1000) / this.#weight
  }

  get meanLeased(): number {
    return this.#weight === 0 ? 0 : this.#leased / this.#weight
  }

  /** Mean length of a lease, by Little's law; 0 while nothing arrived. */
  get leaseMs(): number {
    return this.#perMs === 0 ? 0 : this.#leased / this.#perMs
  }
}
