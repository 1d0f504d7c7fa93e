import { ClosedError } from '@dharma/core'
import type { EndpointHealth } from './endpoints/endpoint-health.ts'
import { PostgresConnectionError, PostgresTimeoutError, unclearOutcome } from './errors.ts'
import type { FreezeDetector } from './freeze-detector.ts'
import { FastLane } from './pipeline/fast-lane.ts'
import type { FastLaneStats } from './pipeline/lane-stats.ts'
import { MAX_LOSSES, PipelinedRequest } from './pipeline/pipelined-request.ts'
import { StatementBook, type StatementRecord } from './pipeline/statement-book.ts'
import { reasonNotDone } from './outage.ts'
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
/** Pause before a read is sent again, doubled each time: connections die together, but are not known to at once. */
const FIRST_PAUSE_MS = 5

/** What becomes of statements that this server does not carry out. */
export interface RunnerOwner {
  readonly health: EndpointHealth
  readonly detector: FreezeDetector
  /** Runs a statement that was not carried out, here again or elsewhere. `hops` counts how often that was done. */
  readonly reroute: (
    statement: SqlStatement,
    options: QueryOptions & { readonly timeoutMs: number },
    reason: Error,
    hops: number,
  ) => Promise<QueryResult<unknown>>
}

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
  readonly #owner: RunnerOwner
  #isClosed = false

  constructor(
    settings: PostgresSettings,
    sessions: Sessions,
    metrics: QueryMetrics,
    owner: RunnerOwner,
  ) {
    this.#settings = settings
    this.#owner = owner
    this.#sessions = sessions
    this.#metrics = metrics
    if (settings.pipelineConnections === 0) return
    this.#lane = new FastLane({
      settings,
      floor: this.#book.floor,
      health: owner.health,
      detector: owner.detector,
      runElsewhere: (request) => void this.#runElsewhere(request),
    })
  }

  run(
    text: string,
    values: readonly unknown[],
    options: QueryOptions,
    hops = 0,
  ): Promise<QueryResult<unknown>> {
    if (this.#isClosed) return Promise.reject(new ClosedError(this.#settings.name))
    const record = this.#book.of(text)
    const lane = this.#lane
    // A server under suspicion is sent nothing over shared connections that may not be sent twice.
    const isHeld = this.#owner.health.verdict !== undefined && record.kind !== 'read'
    if (lane !== undefined && record.isFast && !isHeld && lane.isReady) {
      const { timeoutMs = this.#settings.queryTimeoutMs, signal } = options
      if (timeoutMs > 0 && signal?.aborted !== true && Array.isArray(values)) {
        const startedMs = this.#settings.clock.monotonicMs()
        return new Promise((resolve, reject) => {
          const outcome = { resolve, reject }
          const statement = { text, values, record }
          const { onSettled } = this
          lane.send(
            new PipelinedRequest(statement, startedMs, timeoutMs, options, outcome, onSettled),
          )
        })
      }
    }
    const run = (): Promise<QueryResult<unknown>> => {
      return this.#runAlone({ text, values }, record, options, 0, hops)
    }
    return hops === 0 ? this.#metrics.time('query', run) : run()
  }

  /** Whether the statement changes nothing for certain. */
  isRead(text: string): boolean {
    return this.#book.of(text).kind === 'read'
  }

  /** The server is gone: ends what is under way on shared connections. */
  endAll(): void {
    this.#lane?.endAll()
  }

  laneStats(): FastLaneStats | undefined {
    return this.#lane?.stats()
  }

  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true
    await this.#lane?.close(deadlineMs)
  }

  private readonly onSettled = ({ startedMs }: PipelinedRequest, isError: boolean): void => {
    this.#metrics.record('query', startedMs, isError)
  }

  async #runElsewhere(request: PipelinedRequest): Promise<void> {
    const { text, values, record, timeoutMs, deadlineMs, options, losses } = request
    const remainingMs = deadlineMs - this.#settings.clock.monotonicMs()
    try {
      if (remainingMs <= 0) throw new PostgresTimeoutError('query', timeoutMs)
      if (losses > 0) await this.#pause(losses, options.signal)
      const left = { ...options, timeoutMs: remainingMs }
      request.resolve(await this.#runAlone({ text, values }, record, left, losses, 0))
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
    losses: number,
    hops: number,
  ): Promise<QueryResult<unknown>> {
    const { clock, queryTimeoutMs } = this.#settings
    const { timeoutMs = queryTimeoutMs, signal } = options
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const isRead = record.kind === 'read' || options.replica === true
    for (let sending = losses + 1; ; sending++) {
      try {
        const leftMs =
          sending === losses + 1 ? timeoutMs : Math.max(1, deadlineMs - clock.monotonicMs())
        const lent = { timeoutMs: leftMs, signal, isReading: isRead }
        return await this.#sessions.use(lent, (session, remainingMs) =>
          this.#send(session, statement, record, remainingMs, signal),
        )
      } catch (error) {
        const reason = reasonNotDone(error)
        if (reason !== undefined) {
          const left = { ...options, timeoutMs: Math.max(1, deadlineMs - clock.monotonicMs()) }
          return this.#owner.reroute(statement, left, reason, hops)
        }
        if (!(error instanceof PostgresConnectionError)) throw error
        if (!isRead) throw unclearOutcome(error)
        if (sending >= MAX_LOSSES || clock.monotonicMs() >= deadlineMs) throw error
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
      record.observeAlone(tookMs)
      this.#book.floor.observe(tookMs)
      return result
    } catch (error) {
      if (!(error instanceof StaleStatementError)) throw error
      return session.query(statement, remainingMs(), signal)
    }
  }
}
