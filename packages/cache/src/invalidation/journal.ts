import type { InvalidationTargets } from '../redis/invalidation-writer.ts'

const MAX_NAMES = 10_000
const MAX_PATTERNS = 64

/**
 * Invalidations that Redis has not acknowledged. Until it has, nothing in Redis can be trusted by
 * this process. Bounded: beyond 10,000 names they become one invalidation of everything.
 */
export class Journal {
  readonly #keys = new Set<string>()
  readonly #tags = new Set<string>()
  readonly #patterns = new Set<string>()
  #everything = false

  #taken: InvalidationTargets | undefined

  get isEmpty(): boolean {
    return this.size === 0 && this.#taken === undefined
  }

  /** Names waiting. */
  get size(): number {
    return this.#keys.size + this.#tags.size + this.#patterns.size + (this.#everything ? 1 : 0)
  }

  add({ keys = [], tags = [], patterns = [], everything = false }: InvalidationTargets): void {
    if (this.#everything) return
    for (const key of keys) this.#keys.add(key)
    for (const tag of tags) this.#tags.add(tag)
    for (const pattern of patterns) this.#patterns.add(pattern)
    if (everything || this.size > MAX_NAMES || this.#patterns.size > MAX_PATTERNS) this.#collapse()
  }

  /** Takes out all that waits, as one invalidation. The journal is not empty until {@link settle}. */
  take(): Required<InvalidationTargets> {
    const targets = {
      keys: [...this.#keys],
      tags: [...this.#tags],
      patterns: [...this.#patterns],
      everything: this.#everything,
    }
    this.#taken = targets
    this.#keys.clear()
    this.#tags.clear()
    this.#patterns.clear()
    this.#everything = false
    return targets
  }

  /** Says whether what was taken is done; if not, it waits again. */
  settle(isDone: boolean): void {
    const taken = this.#taken
    this.#taken = undefined
    if (taken !== undefined && !isDone) this.add(taken)
  }

  #collapse(): void {
    this.#everything = true
    this.#keys.clear()
    this.#tags.clear()
    this.#patterns.clear()
  }
}
