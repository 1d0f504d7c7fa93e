import { toError } from '@dharma/core'
import {
  ConnectionPool,
  type CreateContext,
  type Lease,
  type PoolStats,
} from '@dharma/async/connection-pool'
import type { LoadWindow } from '../connection-pool-manager/load-window.ts'
import { PostgresConnection } from './connection.ts'
import type { EndpointHealth } from './endpoints/endpoint-health.ts'
import { PostgresConnectionError, PostgresTimeoutError, wrapPostgresError } from './errors.ts'
import {
  WRITE_PATIENCE_MS,
  type FreezeDetector,
  type FreezeSource,
  type Suspect,
} from './freeze-detector.ts'
import { isCrowded, NothingDoneError } from './outage.ts'
import type { PostgresSettings } from './postgres-options.ts'
import { Session, type QueryOptions } from './session.ts'
import { SilenceWatch } from './silence-watch.ts'

const SILENT_MS = 250
/** Connections being opened at once; more would only queue up in the server. */
const CONNECTS_AT_ONCE = 2
const MAX_BACKOFF_MS = 1_000

export interface UseOptions extends QueryOptions {
  /** Whether all that is sent may be sent again elsewhere. @default false */
  readonly isReading?: boolean
}

/** The exclusive lane: sessions lent to one borrower at a time, out of a pool. */
export class Sessions implements FreezeSource {
  readonly #settings: PostgresSettings
  readonly #pool: ConnectionPool<PostgresConnection>
  readonly #health: EndpointHealth
  readonly #open = new Set<PostgresConnection>()
  /** Ends the attempts to connect under way. */
  #opening = new AbortController()
  readonly #window: LoadWindow | undefined
  readonly #silence: SilenceWatch
  /** How often the server had no place for a further session. */
  refusals = 0

  /** @param window where waits and leases are measured, for a scaler */
  constructor(
    settings: PostgresSettings,
    health: EndpointHealth,
    detector: FreezeDetector,
    window?: LoadWindow,
  ) {
    const { pool, name, connectTimeoutMs, clock, random, metrics } = settings
    this.#settings = settings
    this.#health = health
    this.#window = window
    this.#silence = new SilenceWatch({
      clock,
      answers: () => health.answers,
      isWaiting: () => [...this.#open].some(({ isInUse }) => isInUse),
      look: () => detector.look(),
    })
    detector.add(this)
    this.#pool = new ConnectionPool<PostgresConnection>(
      {
        create: (context) => this.#create(context),
        destroy: async (connection, reason) => {
          this.#open.delete(connection)
          if (reason === 'idle' || reason === 'lifetime' || reason === 'surplus')
            await connection.end()
          connection.destroy()
        },
        validate: async ({ client }) => {
          await client.query('select 1')
          return true
        },
      },
      {
        ...pool,
        name,
        clock,
        random,
        metrics,
        createTimeoutMs: connectTimeoutMs,
        createConcurrency: CONNECTS_AT_ONCE,
        createBackoffMaxMs: MAX_BACKOFF_MS,
        onCreateFailure: 'reject',
      },
    )
  }

  connect(): Promise<void> {
    return this.#pool.connect()
  }

  /** Changes the greatest number of sessions; those above it end as they come back. */
  resize(max: number): void {
    this.#pool.resize({ min: Math.min(this.#pool.limits.min, max), max })
  }

  /** Mean number of sessions lent, and those open. */
  load(): { readonly meanLeased: number; readonly size: number } {
    return { meanLeased: this.#pool.load().meanLeased, size: this.#pool.size }
  }

  stats(): PoolStats {
    return this.#pool.stats()
  }

  async close(deadlineMs: number): Promise<void> {
    await this.#pool.drain({ deadlineMs })
    this.#silence.stop()
  }

  /** For {@link FreezeDetector}: what may be sent again, and what has waited for so long that it is lost. */
  suspects(): Suspect[] {
    const patientSinceMs = this.#settings.clock.monotonicMs() - WRITE_PATIENCE_MS
    const suspects: Suspect[] = []
    for (const connection of this.#open) {
      const { underWay, isReading, processId } = connection
      if (underWay === undefined || (!isReading && underWay.sinceMs > patientSinceMs)) continue
      suspects.push({
        processId,
        isWaiting: () => connection.underWay === underWay,
        end: () => connection.destroy(),
      })
    }
    return suspects
  }

  /** For {@link FreezeDetector}: nobody misses a session that nobody uses, or that is still being opened. */
  onFrozen(): void {
    this.#endOpening(new PostgresConnectionError('a connection froze while it was opened'))
    for (const connection of this.#open) {
      if (!connection.isInUse) this.#pool.invalidate(connection)
    }
  }

  /** To be called after a deadline was missed: asks each idle session for a sign of life, and ends the silent ones. */
  checkIdle(): void {
    for (const connection of this.#open) {
      if (!connection.isInUse) void this.#endIfSilent(connection)
    }
  }

  async #endIfSilent(connection: PostgresConnection): Promise<void> {
    const { clock } = this.#settings
    const end = (): void => void this.#pool.invalidate(connection)
    const late = clock.setTimeout(end, SILENT_MS, { keepsAlive: false })
    try {
      await connection.client.query('select 1')
    } catch (error) {
      this.#pool.invalidate(connection, error)
    } finally {
      late.cancel()
    }
  }

  /** The server is gone: what is under way fails now, and those who wait are told. */
  endAll(reason: Error): void {
    this.#endOpening(reason)
    for (const connection of this.#open) {
      if (connection.isInUse) connection.destroy()
      else this.#pool.invalidate(connection, reason)
    }
  }

  #endOpening(reason: Error): void {
    this.#opening.abort(reason)
    this.#opening = new AbortController()
  }

  async #create(context: CreateContext): Promise<PostgresConnection> {
    const { state } = this.#health
    if (state.kind === 'down') throw state.error
    const signal = AbortSignal.any([context.signal, this.#opening.signal])
    try {
      const connection = await PostgresConnection.open(this.#settings, { ...context, signal })
      this.#open.add(connection)
      return connection
    } catch (error) {
      if (isCrowded(toError(error))) this.refusals += 1
      throw error
    }
  }

  /**
   * What may not be sent twice waits while the server is under suspicion: sessions die together, but
   * are not known to at once, and on one of them it would be unclear whether it was done.
   */
  async #awaitVerdict(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { verdict } = this.#health
    if (verdict === undefined) return
    const over = new AbortController()
    const ends = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal])
    try {
      await Promise.race([verdict, this.#settings.clock.sleep(timeoutMs, ends)])
    } finally {
      over.abort()
    }
  }

  async #acquire(
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Lease<PostgresConnection>> {
    const { clock } = this.#settings
    const asked = this.#window?.asked(clock.monotonicMs())
    try {
      return await this.#pool.acquire({ timeoutMs, signal })
    } finally {
      if (asked !== undefined) this.#window?.got(asked, clock.monotonicMs())
    }
  }

  /** Lends a session for `work`; the time spent waiting for it counts. */
  async use<R>(
    { timeoutMs = this.#settings.queryTimeoutMs, signal, isReading = false }: UseOptions,
    work: (session: Session, remainingMs: () => number) => Promise<R>,
  ): Promise<R> {
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    const { clock } = this.#settings
    const deadlineMs = clock.monotonicMs() + timeoutMs
    if (!isReading) await this.#awaitVerdict(timeoutMs, signal)
    // Said here, since an attempt to connect would first wait for the end of the pool's pause.
    const { state } = this.#health
    if (state.kind === 'down') throw new NothingDoneError(state.error)
    const lease = await this.#acquire(Math.max(1, deadlineMs - clock.monotonicMs()), signal)
    const lentMs = this.#window === undefined ? 0 : clock.monotonicMs()
    const connection = lease.resource
    connection.isInUse = true
    connection.isReading = isReading
    this.#silence.wake()
    const session = new Session(connection, this.#settings, clock)
    try {
      const result = await work(session, () => Math.max(1, deadlineMs - clock.monotonicMs()))
      this.#health.answers += 1
      return result
    } catch (error) {
      this.#judge(error)
      // What was left of the time when the statement was sent is of no interest to the caller.
      if (error instanceof PostgresTimeoutError) throw new PostgresTimeoutError('query', timeoutMs)
      throw asOwn(error)
    } finally {
      const giveBack = (): void => {
        this.#window?.served(clock.monotonicMs() - lentMs)
        connection.isInUse = false
        if (session.isBroken) lease.destroy()
        else lease.release()
      }
      // The caller has his answer; the session comes back when the server has let go of it.
      if (session.settling === undefined) giveBack()
      else void session.settling.finally(giveBack)
    }
  }

  /** An answer is a sign of life; a missed deadline or a lost connection is a reason to look. */
  #judge(error: unknown): void {
    const isSuspicious =
      error instanceof PostgresTimeoutError || error instanceof PostgresConnectionError
    if (isSuspicious) this.#health.suspect()
    else this.#health.answers += 1
  }
}

/** Errors of the driver wrapped; the caller's own, and ours, as they are. */
function asOwn(error: unknown): unknown {
  const isDriverError = error instanceof Error && 'severity' in error && 'routine' in error
  return isDriverError ? wrapPostgresError(error) : error
}
