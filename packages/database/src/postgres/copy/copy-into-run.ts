import type { Writable } from 'node:stream'
import { from as copyFrom } from 'pg-copy-streams'
import { copyPlaceOf, CopyRowError, wrapPostgresError } from '../errors.ts'
import { cancelCopy } from './cancel-copy.ts'
import type { CopyIntoOptions, CopyResult } from './copy-into.ts'
import type { CopyLine } from './copy-line.ts'
import type { CopyRow, RowEncoder } from './row-encoder.ts'
import type { RowSource } from './row-source.ts'
import type { ServerWatch } from './server-watch.ts'

/** Chunks of this size reach the best rate; larger ones only cost memory. */
const CHUNK_BYTES = 64 * 1024
/** SQLSTATE classes of errors that no row is to blame for: the server's resources, operators, locks. */
const NOT_OF_THE_ROW = /^(?:25|40|53|55|57|58|F0|XX)/

export interface CopyIntoRunOptions {
  readonly line: CopyLine
  readonly watch: ServerWatch
  readonly table: string
  readonly encoder: RowEncoder
  /** The COPY statement. */
  readonly text: string
  readonly options: CopyIntoOptions
}

/** One `COPY … FROM STDIN` under way. */
export class CopyIntoRun {
  readonly #given: CopyIntoRunOptions
  readonly #into: Writable & { rowCount: number }
  readonly #ended: Promise<unknown>
  /** What the server or the connection ended the COPY with. */
  #driverError: Error | undefined
  #rows = 0
  #bytes = 0
  /** Positions left out, so that the server's line numbers lead back to the caller's rows. */
  readonly #bad: number[] = []

  constructor(given: CopyIntoRunOptions) {
    this.#given = given
    this.#into = given.line.client.query(copyFrom(given.text))
    const ended = Promise.withResolvers<void>()
    this.#ended = ended.promise
    this.#into.on('finish', ended.resolve)
    // The server may end the COPY at any time, and the driver may say so more than once.
    this.#into.on('error', (error) => {
      this.#driverError ??= error
      given.watch.fail(error)
      ended.resolve()
    })
  }

  async send({ rows, asyncRows }: RowSource): Promise<CopyResult> {
    const { encoder, watch } = this.#given
    try {
      encoder.begin()
      if (asyncRows !== undefined) await this.#sendAsync(asyncRows)
      else if (rows !== undefined) await this.#sendSync(rows)
      encoder.end()
      await this.#flush()
      this.#into.end()
      await watch.forServer(this.#ended)
    } catch (error) {
      throw this.#fail(error)
    }
    return {
      rows: this.#into.rowCount,
      bytes: this.#bytes,
      format: encoder.format,
      badRows: this.#bad.length,
    }
  }

  async #sendSync(rows: Iterator<CopyRow>): Promise<void> {
    const { encoder } = this.#given
    for (let row = rows.next(); row.done !== true; row = rows.next()) {
      this.#add(row.value)
      if (encoder.pendingBytes >= CHUNK_BYTES) await this.#flush()
    }
  }

  async #sendAsync(rows: AsyncIterator<CopyRow>): Promise<void> {
    const { encoder, watch } = this.#given
    for (;;) {
      const row = await watch.forCaller(rows.next())
      if (row.done === true) return
      this.#add(row.value)
      if (encoder.pendingBytes >= CHUNK_BYTES) await this.#flush()
    }
  }

  #add(row: CopyRow): void {
    const { table, encoder, options } = this.#given
    const index = this.#rows++
    const bad = encoder.add(row, index)
    if (bad === undefined) return
    if (options.onBadRow === undefined) {
      throw new CopyRowError(table, index, bad.column, bad.reason, { cause: bad.cause })
    }
    this.#bad.push(index)
    options.onBadRow(bad, row)
  }

  async #flush(): Promise<void> {
    const { encoder, options, watch } = this.#given
    watch.throwIfFailed()
    const chunk = encoder.take()
    this.#bytes += chunk.length
    if (!this.#into.write(chunk)) {
      const drained = new Promise<void>((resolve) => this.#into.once('drain', resolve))
      await watch.forServer(drained)
    }
    options.onProgress?.({ rows: this.#rows, bytes: this.#bytes })
  }

  /** What the caller gets; meanwhile the server ends the COPY, so that the connection can be used again. */
  #fail(thrown: unknown): unknown {
    const { line, table } = this.#given
    const refusal = this.#driverError
    if (refusal === undefined || thrown !== refusal) {
      if (refusal === undefined) line.settleAfter(() => this.#end())
      return thrown
    }
    const cause = wrapPostgresError(refusal)
    const place = copyPlaceOf(refusal)
    const isOfRow = 'sqlState' in cause && !NOT_OF_THE_ROW.test(String(cause.sqlState))
    if (place === undefined || !isOfRow) return cause
    const index = this.#sourceIndex(place.line)
    return new CopyRowError(table, index, place.column, cause.message, { cause })
  }

  async #end(): Promise<void> {
    // The driver then tells the server that the COPY failed, which ends it where it listens.
    this.#into.destroy(new Error('ended by the client'))
    await cancelCopy(this.#given.line, this.#ended)
  }

  #sourceIndex(line: number): number {
    let index = line
    for (const bad of this.#bad) if (bad <= index) index++
    return index
  }
}
