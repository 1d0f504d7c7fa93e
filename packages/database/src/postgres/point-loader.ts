import { toError } from '@dharma/core'
import { loadRows, loadStatement, type PointKey, type StatementTarget } from './load-many.ts'
import type { QueryOptions } from './session.ts'

export interface PointLoaderOptions {
  /** Columns read, the key's included in any case. @default all */
  readonly columns?: readonly string[]
  /** Keys in one statement at most. At least 1. @default 1000 */
  readonly maxBatch?: number
  /** Longest time of each statement. Above 0. @default the manager's `queryTimeoutMs` */
  readonly timeoutMs?: number | undefined
}

interface Waiting<Row> {
  readonly resolve: (row: Row | undefined) => void
  readonly reject: (reason: Error) => void
}

/**
 * Reads rows by key for callers who do not know of each other: what is asked for in one turn of the
 * event loop goes to the server as one statement, equal keys once. It remembers nothing, and
 * callers of the same key share the row.
 */
export class PointLoader<Row> {
  readonly #target: StatementTarget
  readonly #keyColumn: string
  readonly #text: string
  readonly #maxBatch: number
  readonly #options: QueryOptions
  #batch = new Map<PointKey, Waiting<Row>[]>()

  /** @throws RangeError when a name is none, or `maxBatch` is below 1 */
  constructor(
    target: StatementTarget,
    table: string,
    keyColumn: string,
    { columns, maxBatch = 1_000, timeoutMs }: PointLoaderOptions,
  ) {
    if (!Number.isSafeInteger(maxBatch) || maxBatch < 1) {
      throw new RangeError(`maxBatch must be a whole number of at least 1, got ${maxBatch}`)
    }
    this.#target = target
    this.#keyColumn = keyColumn
    this.#text = loadStatement(table, keyColumn, columns)
    this.#maxBatch = maxBatch
    this.#options = { timeoutMs }
  }

  /** The row of `key`, `undefined` if there is none. */
  load(key: PointKey): Promise<Row | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#batch.size === 0) process.nextTick(this.#sendTurn)
      const waiting = this.#batch.get(key)
      if (waiting !== undefined) waiting.push({ resolve, reject })
      else this.#batch.set(key, [{ resolve, reject }])
      if (this.#batch.size >= this.#maxBatch) this.#sendTurn()
    })
  }

  readonly #sendTurn = (): void => {
    const batch = this.#batch
    if (batch.size === 0) return
    this.#batch = new Map()
    void this.#send(batch)
  }

  async #send(batch: ReadonlyMap<PointKey, readonly Waiting<Row>[]>): Promise<void> {
    try {
      const keys = [...batch.keys()]
      const rows = await loadRows<Row>(
        this.#target,
        this.#text,
        this.#keyColumn,
        keys,
        this.#options,
      )
      let index = 0
      for (const waiting of batch.values()) {
        const row = rows[index++]
        for (const { resolve } of waiting) resolve(row)
      }
    } catch (error) {
      for (const waiting of batch.values()) {
        for (const { reject } of waiting) reject(toError(error))
      }
    }
  }
}
