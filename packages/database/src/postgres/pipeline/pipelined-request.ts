import { toError } from '@dharma/core'
import type { QueryOptions, QueryResult } from '../session.ts'
import type { StatementRecord } from './statement-book.ts'

/** What becomes of a caller's statement, told once. */
export interface RequestOutcome<Row> {
  readonly resolve: (result: QueryResult<Row>) => void
  readonly reject: (reason: Error) => void
}

/** Sendings of a read at most; a write is sent once. */
const MAX_SENDS = 3

/** One caller's statement from the call to its answer, on whichever connections that takes. */
export class PipelinedRequest {
  readonly text: string
  readonly values: readonly unknown[]
  readonly record: StatementRecord
  readonly startedMs: number
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly #outcome: RequestOutcome<unknown>
  readonly #onSettled: (request: PipelinedRequest, isError: boolean) => void
  #onAbort: (() => void) | undefined
  isSettled = false
  /** Whether a connection was lost under it. */
  wasLost = false
  /** How often it was sent so far. */
  sends = 0

  constructor(
    statement: {
      readonly text: string
      readonly values: readonly unknown[]
      readonly record: StatementRecord
    },
    startedMs: number,
    timeoutMs: number,
    signal: QueryOptions['signal'],
    outcome: RequestOutcome<unknown>,
    onSettled: (request: PipelinedRequest, isError: boolean) => void,
  ) {
    this.text = statement.text
    this.values = statement.values
    this.record = statement.record
    this.startedMs = startedMs
    this.timeoutMs = timeoutMs
    this.signal = signal
    this.#outcome = outcome
    this.#onSettled = onSettled
    if (signal !== undefined) {
      this.#onAbort = (): void => this.reject(toError(signal.reason))
      signal.addEventListener('abort', this.#onAbort, { once: true })
    }
  }

  get deadlineMs(): number {
    return this.startedMs + this.timeoutMs
  }

  /** Whether it may be sent again although an earlier sending may have been carried out. */
  get maySendAgain(): boolean {
    return this.record.kind === 'read' && this.sends < MAX_SENDS
  }

  resolve(result: QueryResult<unknown>): void {
    if (this.#settle(false)) this.#outcome.resolve(result)
  }

  reject(reason: Error): void {
    if (this.#settle(true)) this.#outcome.reject(reason)
  }

  #settle(isError: boolean): boolean {
    if (this.isSettled) return false
    this.isSettled = true
    if (this.#onAbort !== undefined) this.signal?.removeEventListener('abort', this.#onAbort)
    this.#onSettled(this, isError)
    return true
  }
}
