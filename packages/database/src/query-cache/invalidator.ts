import type { QueryCache } from './query-cache.ts'

/** Invalidates, and remembers what a cache that failed still has to be told. */
export class Invalidator {
  readonly #cache: QueryCache
  readonly #onError: (error: unknown) => void
  readonly #owed = new Set<string>()
  #paying: Promise<void> | undefined
  invalidations = 0

  constructor(cache: QueryCache, onError: (error: unknown) => void) {
    this.#cache = cache
    this.#onError = onError
  }

  /** Whether the cache may hold what it should not. */
  get isOwing(): boolean {
    return this.#owed.size > 0
  }

  /** Never rejects: what could not be invalidated is owed, and until it is paid nothing is to be read. */
  async invalidate(tags: readonly string[]): Promise<void> {
    if (tags.length === 0) return
    this.invalidations += 1
    try {
      await this.#cache.invalidateTags(tags)
    } catch (error) {
      for (const tag of tags) this.#owed.add(tag)
      this.#onError(error)
    }
  }

  /** Tries to pay what is owed. */
  pay(): Promise<void> {
    this.#paying ??= this.#pay().finally(() => {
      this.#paying = undefined
    })
    return this.#paying
  }

  async #pay(): Promise<void> {
    const tags = [...this.#owed]
    try {
      await this.#cache.invalidateTags(tags)
      for (const tag of tags) this.#owed.delete(tag)
    } catch (error) {
      this.#onError(error)
    }
  }
}
