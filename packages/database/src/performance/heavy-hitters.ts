/** One item of {@link HeavyHitters}. `weight` is never below the true one, and above it by `error` at most. */
export interface HeavyHitter<Value> {
  readonly key: string
  readonly value: Value
  weight: number
  error: number
}

/**
 * The items of the greatest weight in a stream of any length, in bounded memory: every item whose
 * weight is above the total divided by the capacity is in it. Source: Metwally, Agrawal and El Abbadi,
 * "Efficient Computation of Frequent and Top-k Elements in Data Streams" (Space-Saving), ICDT 2005.
 */
export class HeavyHitters<Value> {
  readonly #capacity: number
  readonly #create: (key: string) => Value
  readonly #onForgotten: (value: Value) => void
  readonly #items = new Map<string, HeavyHitter<Value>>()

  /** @param onForgotten told of the values that are in no item any more */
  constructor(
    capacity: number,
    create: (key: string) => Value,
    onForgotten: (value: Value) => void = () => undefined,
  ) {
    this.#capacity = capacity
    this.#create = create
    this.#onForgotten = onForgotten
  }

  get size(): number {
    return this.#items.size
  }

  /** The item of a key; a new one takes the place of the lightest where there is no room. */
  item(key: string): HeavyHitter<Value> {
    const known = this.#items.get(key)
    if (known !== undefined) return known
    const floor = this.#items.size < this.#capacity ? 0 : this.#evict()
    const item = { key, value: this.#create(key), weight: floor, error: floor }
    this.#items.set(key, item)
    return item
  }

  get(key: string): HeavyHitter<Value> | undefined {
    return this.#items.get(key)
  }

  /** Counts under another key what was counted under this one, adding up where both are there. */
  rename(key: string, to: string, merge: (into: Value, from: Value) => void): void {
    const from = this.#items.get(key)
    if (from === undefined || key === to) return
    this.#items.delete(key)
    const into = this.#items.get(to)
    if (into === undefined) {
      this.#items.set(to, { ...from, key: to })
      return
    }
    into.weight += from.weight
    into.error += from.error
    merge(into.value, from.value)
    this.#onForgotten(from.value)
  }

  /** By weight, the greatest first. */
  top(count: number = this.#items.size): HeavyHitter<Value>[] {
    return [...this.#items.values()].toSorted((a, b) => b.weight - a.weight).slice(0, count)
  }

  /** Takes the lightest away; its weight is how much a newcomer may have had before. */
  #evict(): number {
    let lightest: HeavyHitter<Value> | undefined
    for (const item of this.#items.values()) {
      if (lightest === undefined || item.weight < lightest.weight) lightest = item
    }
    if (lightest === undefined) return 0
    this.#items.delete(lightest.key)
    this.#onForgotten(lightest.value)
    return lightest.weight
  }
}
