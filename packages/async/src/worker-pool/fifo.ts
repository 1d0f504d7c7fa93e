/** First in, first out, without moving the rest: an array whose front is let go in large steps. */
export class Fifo<T> {
  #items: (T | undefined)[] = []
  #front = 0

  get size(): number {
    return this.#items.length - this.#front
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Back to the front: what comes out next. */
  unshift(item: T): void {
    if (this.#front > 0) this.#items[--this.#front] = item
    else this.#items.unshift(item)
  }

  peek(): T | undefined {
    return this.#items[this.#front]
  }

  shift(): T | undefined {
    if (this.#front === this.#items.length) return undefined
    const item = this.#items[this.#front]
    this.#items[this.#front++] = undefined
    if (this.#front === this.#items.length || this.#front >= 4096) this.#compact()
    return item
  }

  /** Keeps what the predicate says, in order. */
  retain(keep: (item: T) => boolean): void {
    this.#items = (this.#items.slice(this.#front) as T[]).filter((item) => keep(item))
    this.#front = 0
  }

  #compact(): void {
    if (this.#front < this.#items.length && this.#front * 2 < this.#items.length) return
    this.#items = this.#items.slice(this.#front)
    this.#front = 0
  }
}
