import { toError } from '@dharma/core'
import type { QueryOptions, QueryResult } from '../session.ts'
import type { StatementRecord } from './statement-book.ts'

/** What becomes of a caller's statement, told once. */
export interface RequestOutcome<Row> {
  readonly resolve: (result: QueryResult<Row>) => void
  readonly reject: (reason: Error) => void
}

/** Sendings over shared connections at most; the next one is over a session of its own. */
const MAX_SENDS = 3
/** Connections that may be lost under a read, in case it is the read that ends them; a write is sent once. */
export const MAX_LOSSES = 5

/** One caller's statement from the call to its answer, on whichever connections that takes. */
export class PipelinedRequest {
  readonly text: string
  readonly values: readonly unknown[]
  readonly record: StatementRecord
  readonly startedMs: number
  readonly timeoutMs: number
  readonly options: QueryOptions
  readonly #outcome: RequestOutcome<unknown>
  readonly #onSettled: (request: PipelinedRequest, isError: boolean) => void
  #onAbort: (() => void) | undefined
  isSettled = false
  /** How many connections were lost under it. */
  losses = 0
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
    options: QueryOptions,
    outcome: RequestOutcome<unknown>,
    onSettled: (request: PipelinedRequest, isError: boolean) => void,
  ) {
    this.text = statement.text
    this.values = statement.values
    this.record = statement.record
    this.startedMs = startedMs
    this.timeoutMs = timeoutMs
    this.options = options
    this.#outcome = outcome
    this.#onSettled = onSettled
    const { signal } = options
    if (signal !== undefined) {
      this.#onAbort = (): void => this.reject(toError(signal.reason))
      signal.addEventListener('abort', this.#onAbort, { once: true })
    }
  }

  get deadlineMs(): number {
    return this.startedMs + this.timeoutMs
  }

  /** Whether it changes nothing, by its text or by the caller's word. */
  get isRead(): boolean {
    return this.record.kind === 'read' || this.options.replica === true
  }

  /** Whether it may be sent again although an earlier sending may have been carried out. */
  get maySendAgain(): boolean {
    return this.isRead && this.losses < MAX_LOSSES
  }

  /** Whether shared connections have had it often enough. */
  get isWanderer(): boolean {
    return this.sends >= MAX_SENDS
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
    if (this.#onAbort !== undefined)
      this.options.signal?.removeEventListener('abort', this.#onAbort)
    this.#onSettled(this, isError)
    return true
  }
}
