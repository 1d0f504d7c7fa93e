/** What to send for a statement: its name, and the name whose place it takes. */
export interface NamedStatement {
  /** `undefined` for a statement that is not worth preparing yet. */
  readonly name: string | undefined
  /** To be deallocated on the server before anything else. */
  readonly evicted: string | undefined
}

/** A statement sent as it is. */
export const UNNAMED: NamedStatement = { name: undefined, evicted: undefined }

/**
 * The prepared statements of one session, bounded: a statement gets a name when it comes a second
 * time, and the one that was used longest ago makes room. Names are never used twice.
 */
export class StatementNames {
  readonly #max: number
  /** In order of last use. */
  readonly #names = new Map<string, string>()
  readonly #seenOnce = new Set<string>()
  #made = 0

  /** @param max names at most; 0 prepares nothing, as poolers in transaction mode need it */
  constructor(max: number) {
    this.#max = max
  }

  use(text: string): NamedStatement {
    if (this.#max === 0) return UNNAMED
    const known = this.#names.get(text)
    if (known !== undefined) {
      this.#names.delete(text)
      this.#names.set(text, known)
      return { name: known, evicted: undefined }
    }
    if (!this.#seenOnce.delete(text)) {
      this.#rememberOnce(text)
      return UNNAMED
    }
    const evicted = this.#names.size >= this.#max ? this.#dropOldest() : undefined
    const name = `dharma_${this.#made++}`
    this.#names.set(text, name)
    return { name, evicted }
  }

  /** Forgets a statement that the server no longer has, or whose plan it refuses. */
  forget(text: string): string | undefined {
    const name = this.#names.get(text)
    this.#names.delete(text)
    return name
  }

  #rememberOnce(text: string): void {
    if (this.#seenOnce.size >= this.#max * 4) {
      const [oldest] = this.#seenOnce
      if (oldest !== undefined) this.#seenOnce.delete(oldest)
    }
    this.#seenOnce.add(text)
  }

  #dropOldest(): string | undefined {
    const [oldest] = this.#names
    if (oldest === undefined) return undefined
    this.#names.delete(oldest[0])
    return oldest[1]
  }
}
