import type { TransactionControl } from '../sql/index.ts'

/** The statements of one transaction that may have written, divided by its savepoints. */
export class TransactionWrites {
  readonly #levels: { readonly savepoint: string | undefined; texts: Set<string> }[] = [
    { savepoint: undefined, texts: new Set() },
  ]

  get isEmpty(): boolean {
    return this.#levels.every(({ texts }) => texts.size === 0)
  }

  /** Texts of what was not rolled back. */
  get texts(): ReadonlySet<string> {
    return new Set(this.#levels.flatMap(({ texts }) => [...texts]))
  }

  add(text: string): void {
    this.#levels.at(-1)?.texts.add(text)
  }

  /** Follows the savepoints. One that does not exist changes nothing: the server has refused it. */
  control({ action, savepoint }: TransactionControl): void {
    if (action === 'savepoint') {
      this.#levels.push({ savepoint, texts: new Set() })
      return
    }
    if (action !== 'release' && action !== 'rollback to') return
    const at = this.#levels.findLastIndex((level) => level.savepoint === savepoint)
    if (at < 1) return
    const ended = this.#levels.splice(at)
    if (action === 'release') {
      for (const { texts } of ended) for (const text of texts) this.add(text)
    } else {
      // The savepoint itself lives on.
      this.#levels.push({ savepoint, texts: new Set() })
    }
  }
}
