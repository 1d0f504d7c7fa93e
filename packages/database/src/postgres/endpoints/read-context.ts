import type { Lsn } from './lsn.ts'

/**
 * What one request has written: how far a replica must have replayed to answer it. The position is
 * asked for only when a read follows a write, and that read goes to the primary.
 */
export class ReadContext {
  /** All writes known by their place are before it. */
  #position: Lsn
  /** Counts writes as they begin and end. */
  #writes = 0
  /** The count for which the position holds. */
  #positioned = 0
  #asking: Promise<void> | undefined

  /** @param position what was written before, such as by an earlier request of the same user */
  constructor(position: Lsn = 0n) {
    this.#position = position
  }

  /** To be called when a write begins, and when it ended in whatever way. */
  wrote(): void {
    this.#writes += 1
  }

  /** Where a replica must be; `undefined` while that is not known, in which case only the primary will do. */
  get position(): Lsn | undefined {
    return this.#writes === this.#positioned ? this.#position : undefined
  }

  /** Finds the position out, unless it is known. Rejects as `ask` does. */
  async locate(ask: () => Promise<Lsn>): Promise<Lsn> {
    for (let known = this.position; ; known = this.position) {
      if (known !== undefined) return known
      this.#asking ??= this.#ask(ask).finally(() => {
        this.#asking = undefined
      })
      await this.#asking
    }
  }

  async #ask(ask: () => Promise<Lsn>): Promise<void> {
    const writes = this.#writes
    const lsn = await ask()
    if (lsn > this.#position) this.#position = lsn
    this.#positioned = writes
  }
}
