/** A read, load or write of one key that is under way, and whether an invalidation has met it. */
export interface Fence {
  readonly key: string
  /** True once its result must not be kept. */
  isBroken: boolean
  /** Called once, when it breaks. */
  readonly onBreak?: (() => void) | undefined
  next: Fence | undefined
}

/**
 * What is under way in this process. Whoever reads or loads opens a fence before it asks, and keeps
 * the result only if no invalidation of the key has broken the fence meanwhile.
 */
export class Fences {
  readonly #byKey = new Map<string, Fence>()

  /** Keys under way. */
  get size(): number {
    return this.#byKey.size
  }

  open(key: string, onBreak?: () => void): Fence {
    const fence = { key, isBroken: false, onBreak, next: this.#byKey.get(key) }
    this.#byKey.set(key, fence)
    return fence
  }

  close(fence: Fence): void {
    const first = this.#byKey.get(fence.key)
    if (first === fence) {
      if (fence.next === undefined) this.#byKey.delete(fence.key)
      else this.#byKey.set(fence.key, fence.next)
      return
    }
    for (let at = first; at !== undefined; at = at.next) {
      if (at.next === fence) at.next = fence.next
    }
  }

  break(key: string): void {
    const first = this.#byKey.get(key)
    if (first === undefined) return
    this.#byKey.delete(key)
    for (let at: Fence | undefined = first; at !== undefined; at = at.next) {
      at.isBroken = true
      at.onBreak?.()
    }
  }

  breakAll(matches?: (key: string) => boolean): void {
    for (const key of this.#byKey.keys()) {
      if (matches === undefined || matches(key)) this.break(key)
    }
  }
}
