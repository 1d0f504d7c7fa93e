import type { Clock } from '@dharma/core'
import type { ClientBase } from 'pg'

/** A session lent to COPY, which waits by itself while a source or a reader takes its time. */
export interface CopyLine {
  readonly client: ClientBase
  readonly clock: Clock
  /** Longest wait for the server. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Runs a statement within `timeoutMs`. @throws PostgresQueryError, PostgresConnectionError, PostgresTimeoutError */
  query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Runs a statement that begins or ends a transaction, whatever the signal says. */
  control(text: string): Promise<void>
  /** The fields that a query would give, which is not run. */
  describe(text: string): Promise<readonly QueryField[]>
  /** Whether a statement that fails or is cancelled ends more than itself. */
  readonly isInTransaction: boolean
  /** Asks the server, over another connection, to end what this one is doing; rejects where it cannot be asked. */
  cancel(): Promise<void>
  /** Ends the connection at once; it is not used again. */
  giveUp(): void
  /** Lets the caller have his answer now, and the session its next statement only after `end`. Does not reject. */
  settleAfter(end: () => Promise<void>): void
}

export interface QueryField {
  readonly name: string
  /** The type's object identifier; a domain's is that of the type under it. */
  readonly oid: number
}

export interface LendOptions {
  /** Longest wait for the server. Above 0. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** @default false */
  readonly isInTransaction?: boolean
}

/** Whoever can lend a {@link CopyLine}: a pool, or the session of a transaction. */
export interface CopyHost {
  lend<R extends object>(work: (line: CopyLine) => Promise<R>): Promise<R>
}
