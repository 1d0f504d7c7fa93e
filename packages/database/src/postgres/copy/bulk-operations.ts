import type { Writable } from 'node:stream'
import { copyRowsInto, type CopyIntoOptions, type CopyResult } from './copy-into.ts'
import type { CopyLine } from './copy-line.ts'
import { CopyOutRows, type CopyOutOptions, type CopySource } from './copy-out.ts'
import { copyOutTo, type CopyOutResult, type CopyOutToOptions } from './copy-out-to.ts'
import { insertRows, type InsertRowsOptions, type InsertRowsResult } from './insert-many.ts'
import type { Operation } from '../query-metrics.ts'
import { copyText } from '../query-observer.ts'
import type { CopyRows } from './row-source.ts'
import { upsertRows, type UpsertManyOptions, type UpsertManyResult } from './upsert-many.ts'

/** What a lent session has to keep to. */
export interface LineOptions {
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly replica?: boolean | undefined
  /** The text that stands for an operation that writes, for observers. */
  readonly statement?: string
  /** What the time counts as in the metrics. @default 'copy' */
  readonly operation?: Operation
}

/**
 * Many rows at once, in a transaction or outside. In a transaction, other statements have to wait until the
 * operation has ended, which for {@link copyOut} is the end of the loop over its rows.
 */
export abstract class BulkOperations {
  /** Lends a session to COPY until `work` has ended. */
  protected abstract lend<R extends object>(
    options: LineOptions,
    work: (line: CopyLine) => Promise<R>,
  ): Promise<R>

  /**
   * Stores rows from a source of any length by COPY, all or none, at constant memory.
   * @param table as SQL writes it: `posts`, `app.posts`, `"Posts"`
   * @throws CopyRowError naming row and column
   */
  async copyInto(
    table: string,
    rows: CopyRows,
    options: CopyIntoOptions = {},
  ): Promise<CopyResult> {
    return this.lend(writing(table, options), (line) => copyRowsInto(line, table, rows, options))
  }

  /**
   * The rows of a table, a view, or a query made by `sql` that only reads, by COPY at constant memory, as fast
   * as the loop over them takes them. Values are those of `query`, but arrays of any type are arrays, and
   * their elements what a single value of the type is. Nothing happens before the first row is asked for.
   * @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError out of the loop
   */
  copyOut<Row = Record<string, unknown>>(
    source: CopySource,
    options: CopyOutOptions = {},
  ): AsyncGenerator<Row, void, undefined> {
    return new CopyOutRows<Row>({ lend: (work) => this.lend(options, work) }, source, options)
  }

  /**
   * Writes a table, a view, or a query made by `sql` that only reads, into a stream in one of the server's own
   * formats, as fast as the stream takes it. A failure destroys the stream.
   * @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError, and what the stream failed with
   */
  async copyOutTo(
    source: CopySource,
    target: Writable,
    options: CopyOutToOptions = {},
  ): Promise<CopyOutResult> {
    return copyOutTo({ lend: (work) => this.lend(options, work) }, source, target, options)
  }

  /**
   * Inserts rows, or updates those there already, all or none, whatever their number.
   * @param table as SQL writes it: `posts`, `app.posts`, `"Posts"`
   * @throws CopyRowError naming row and column, PostgresQueryError
   */
  async upsertMany(
    table: string,
    rows: CopyRows,
    options: UpsertManyOptions,
  ): Promise<UpsertManyResult> {
    return this.lend(writing(table, options), (line) => upsertRows(line, table, rows, options))
  }

  /**
   * Inserts rows, all or none, by INSERT or by COPY, whichever suits their number.
   * @param table as SQL writes it: `posts`, `app.posts`, `"Posts"`
   * @throws CopyRowError naming row and column, PostgresQueryError
   */
  async insertMany<Row = Record<string, unknown>>(
    table: string,
    rows: CopyRows,
    options: InsertRowsOptions = {},
  ): Promise<InsertRowsResult<Row>> {
    return this.lend(writing(table, options), (line) => insertRows<Row>(line, table, rows, options))
  }
}

function writing(table: string, { timeoutMs, signal }: LineOptions): LineOptions {
  return { timeoutMs, signal, statement: copyText(table) }
}
