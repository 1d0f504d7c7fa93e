/** The newest samples of one series, at most `capacity`; the oldest makes room for the next. */
export class SampleRing {
  readonly #width: number
  readonly #timesMs: Float64Array
  readonly #values: Float64Array
  #next = 0
  #size = 0

  /** @param width numbers a sample, such as the buckets of a histogram */
  constructor(capacity: number, width: number) {
    this.#width = width
    this.#timesMs = new Float64Array(capacity)
    this.#values = new Float64Array(capacity * width)
  }

  get size(): number {
    return this.#size
  }

  push(timeMs: number, values: readonly number[]): void {
    this.#timesMs[this.#next] = timeMs
    for (let column = 0; column < this.#width; column++) {
      this.#values[this.#next * this.#width + column] = values[column] as number
    }
    this.#next = (this.#next + 1) % this.#timesMs.length
    this.#size = Math.min(this.#size + 1, this.#timesMs.length)
  }

  /** Time of the sample, 0 being the oldest that is kept. */
  timeMs(index: number): number {
    return this.#timesMs[this.#slot(index)] as number
  }

  value(index: number, column: number): number {
    return this.#values[this.#slot(index) * this.#width + column] as number
  }

  /** The oldest sample after `timeMs`; `size` if there is none. */
  firstAfter(timeMs: number): number {
    let index = this.#size
    while (index > 0 && this.timeMs(index - 1) > timeMs) index--
    return index
  }

  #slot(index: number): number {
    const capacity = this.#timesMs.length
    return (this.#next - this.#size + index + capacity) % capacity
  }
}
