import { ClosedError } from '@dharma/core'
import { PostgresConnectionError, PostgresTimeoutError } from './errors.ts'
import { FastLane } from './pipeline/fast-lane.ts'
import type { FastLaneStats } from './pipeline/lane-stats.ts'
import { PipelinedRequest } from './pipeline/pipelined-request.ts'
import { StatementBook, type StatementRecord } from './pipeline/statement-book.ts'
import type { PostgresSettings } from './postgres-options.ts'
import type { QueryMetrics } from './query-metrics.ts'
import {
  StaleStatementError,
  type QueryOptions,
  type QueryResult,
  type Session,
} from './session.ts'
import type { Sessions } from './sessions.ts'
import type { SqlStatement } from './sql.ts'

/** Statement texts whose times are kept. */
const MAX_RECORDS = 2_048
/** Sendings of a read at most, while connections are lost under it. */
const MAX_READS = 5
/** Pause before a read is sent again, doubled each time: connections die together, but are not known to at once. */
const FIRST_PAUSE_MS = 5

/**
 * Runs single statements on the lane that suits them: those known to be short over shared
 * connections, all others on a session of their own.
 */
export class StatementRunner {
  readonly #settings: PostgresSettings
  readonly #sessions: Sessions
  readonly #metrics: QueryMetrics
  readonly #book = new StatementBook(MAX_RECORDS)
  readonly #lane: FastLane | undefined
  #isClosed = false

  constructor(settings: PostgresSettings, sessions: Sessions, metrics: QueryMetrics) {
    this.#settings = settings
    this.#sessions = sessions
    this.#metrics = metrics
    if (settings.pipelineConnections === 0) return
    this.#lane = new FastLane({
      settings,
      floor: this.#book.floor,
      runElsewhere: (request) => void this.#runElsewhere(request),
      onFrozen: () => sessions.endFrozen(),
    })
  }

  run(
    text: string,
    values: readonly unknown[],
    options: QueryOptions,
  ): Promise<QueryResult<unknown>> {
    if (this.#isClosed) return Promise.reject(new ClosedError(this.#settings.name))
    const record = this.#book.of(text)
    const lane = this.#lane
    if (lane !== undefined && record.isFast && lane.isReady) {
      const { timeoutMs = this.#settings.queryTimeoutMs, signal } = options
      if (timeoutMs > 0 && signal?.aborted !== true && Array.isArray(values)) {
        const startedMs = this.#settings.clock.monotonicMs()
        return new Promise((resolve, reject) => {
          const outcome = { resolve, reject }
          const statement = { text, values, record }
          lane.send(
            new PipelinedRequest(statement, startedMs, timeoutMs, signal, outcome, this.#onSettled),
          )
        })
      }
    }
    return this.#metrics.time('query', () => this.#runAlone({ text, values }, record, options, 0))
  }

  laneStats(): FastLaneStats | undefined {
    return this.#lane?.stats()
  }

  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true
    await this.#lane?.close(deadlineMs)
  }

  readonly #onSettled = ({ startedMs }: PipelinedRequest, isError: boolean): void => {
    this.#metrics.record('query', startedMs, isError)
  }

  async #runElsewhere(request: PipelinedRequest): Promise<void> {
    const { text, values, record, timeoutMs, deadlineMs, signal, sends } = request
    const remainingMs = deadlineMs - this.#settings.clock.monotonicMs()
    try {
      if (remainingMs <= 0) throw new PostgresTimeoutError('query', timeoutMs)
      if (request.wasLost) await this.#pause(sends, signal)
      const options = { timeoutMs: remainingMs, signal }
      request.resolve(await this.#runAlone({ text, values }, record, options, sends))
    } catch (error) {
      request.reject(
        error instanceof PostgresTimeoutError
          ? new PostgresTimeoutError('query', timeoutMs)
          : (error as Error),
      )
    }
  }

  /** Runs a statement on a session of its own; a read whose connection is lost, again on another. */
  async #runAlone(
    statement: SqlStatement,
    record: StatementRecord,
    options: QueryOptions,
    sends: number,
  ): Promise<QueryResult<unknown>> {
    const { clock, queryTimeoutMs } = this.#settings
    const { timeoutMs = queryTimeoutMs, signal } = options
    const deadlineMs = clock.monotonicMs() + timeoutMs
    for (let sending = sends + 1; ; sending++) {
      try {
        const leftMs =
          sending === sends + 1 ? timeoutMs : Math.max(1, deadlineMs - clock.monotonicMs())
        return await this.#sessions.use({ timeoutMs: leftMs, signal }, (session, remainingMs) =>
          this.#send(session, statement, record, remainingMs, signal),
        )
      } catch (error) {
        const isLost = error instanceof PostgresConnectionError
        const mayAgain = record.kind === 'read' && sending < MAX_READS
        if (!isLost || !mayAgain || clock.monotonicMs() >= deadlineMs) throw error
        await this.#pause(sending, signal)
      }
    }
  }

  async #pause(sendings: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, random } = this.#settings
    await clock.sleep(FIRST_PAUSE_MS * 2 ** (sendings - 1) * (0.5 + random() / 2), signal)
  }

  async #send(
    session: Session,
    statement: SqlStatement,
    record: StatementRecord,
    remainingMs: () => number,
    signal: AbortSignal | undefined,
  ): Promise<QueryResult<unknown>> {
    const { clock } = this.#settings
    const startedMs = clock.monotonicMs()
    try {
      const result = await session.query(statement, remainingMs(), signal)
      const tookMs = clock.monotonicMs() - startedMs
      record.observe(tookMs)
      this.#book.floor.observe(tookMs)
      return result
    } catch (error) {
      if (!(error instanceof StaleStatementError)) throw error
      return session.query(statement, remainingMs(), signal)
    }
  }
}
