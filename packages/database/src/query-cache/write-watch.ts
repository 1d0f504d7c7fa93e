import { PostgresQueryError } from '../postgres/errors.ts'
import type {
  ObservedStatement,
  QueryObserver,
  Transaction,
  TransactionOutcome,
} from '../postgres/index.ts'
import { kindOf } from '../postgres/pipeline/statement-kind.ts'
import { knownStatement, parseStatement, type ParsedStatement } from '../sql/index.ts'
import { CATALOG_TEXTS } from './server-catalog.ts'
import { TransactionWrites } from './transaction-writes.ts'

/** Texts that read for certain, remembered at most. */
const MAX_READS = 2_000

const ASCII = /^[\t\n\r -~]*$/

export interface WriteWatchOptions {
  /** Invalidates what the statements may have written; never rejects. */
  readonly onWritten: (texts: Iterable<string>) => Promise<void>
  /** A statement has changed settings of one of the pool's sessions. */
  readonly onSessionSet: () => void
}

/** Sees what a manager writes, and tells of it when it is there for all to see. */
export class WriteWatch implements QueryObserver {
  readonly #options: WriteWatchOptions
  readonly #transactions = new WeakMap<Transaction, TransactionWrites>()
  #reads = new Set<string>()

  constructor(options: WriteWatchOptions) {
    this.#options = options
  }

  /** Whether the transaction may have written by now. */
  hasWritten(transaction: Transaction): boolean {
    return this.#transactions.get(transaction)?.isEmpty === false
  }

  onStatement({ text, error, transaction }: ObservedStatement): Promise<void> | undefined {
    if (this.#isRead(text)) return undefined
    const known = knownStatement(text)
    if (known?.kind === 'select' && known.isReadOnly && known.functions.length === 0) {
      return undefined
    }
    return this.#onStatement(text, known, error, transaction)
  }

  async onTransactionEnd(transaction: Transaction, outcome: TransactionOutcome): Promise<void> {
    const writes = this.#transactions.get(transaction)
    this.#transactions.delete(transaction)
    // A COMMIT without an answer may have been carried out.
    if (writes === undefined || writes.isEmpty || outcome === 'rolled back') return
    await this.#options.onWritten(writes.texts)
  }

  async #onStatement(
    text: string,
    known: ParsedStatement | undefined,
    error: unknown,
    transaction: Transaction | undefined,
  ): Promise<void> {
    // What is no SQL for our parser is treated as what may have written anything.
    const statement = known ?? (await parseStatement(text).catch(() => undefined))
    const controls = statement?.controls ?? []
    // What the server refused had no effect, unless a part of it was committed before.
    if (error instanceof PostgresQueryError && controls.length === 0) return
    if (statement?.setsSession === true) this.#options.onSessionSet()
    if (transaction === undefined) {
      await this.#options.onWritten([text])
      return
    }
    const writes = this.#transactions.get(transaction) ?? new TransactionWrites()
    this.#transactions.set(transaction, writes)
    for (const control of controls) {
      writes.control(control)
      if (control.action !== 'commit') continue
      await this.#options.onWritten(writes.texts)
    }
    if (statement?.kind !== 'transaction') writes.add(text)
  }

  #isRead(text: string): boolean {
    if (this.#reads.has(text) || CATALOG_TEXTS.has(text)) return true
    // Behind another letter, a name that is called looks like one of the server's.
    if (!ASCII.test(text) || kindOf(text) !== 'read') return false
    if (this.#reads.size >= MAX_READS) this.#reads = new Set()
    this.#reads.add(text)
    return true
  }
}
