/**
 * A uniform sample of a stream, at the cost of one comparison for most items. Source: Li,
 * "Reservoir-Sampling Algorithms of Time Complexity O(n(1 + log(N/n)))" (algorithm L), ACM TOMS 1994.
 */
export class Reservoir<Item> {
  readonly items: Item[] = []
  readonly #size: number
  readonly #random: () => number
  #seen = 0
  #next: number
  #w: number

  constructor(size: number, random: () => number) {
    this.#size = size
    this.#random = random
    this.#w = this.#draw()
    this.#next = size + this.#skip()
  }

  /** Counts an item; whether it is to be {@link put}, so that others need not be made. */
  wants(): boolean {
    this.#seen += 1
    return this.#seen <= this.#size || this.#seen >= this.#next
  }

  /** Takes the item that was wanted. */
  put(item: Item): void {
    if (this.items.length < this.#size) {
      this.items.push(item)
      return
    }
    this.items[Math.floor(this.#random() * this.#size)] = item
    this.#w *= this.#draw()
    this.#next = this.#seen + this.#skip()
  }

  #draw(): number {
    return Math.exp(Math.log(1 - this.#random()) / this.#size)
  }

  #skip(): number {
    return Math.floor(Math.log(1 - this.#random()) / Math.log(1 - this.#w)) + 1
  }
}
