import { ConnectionPool, type PoolStats } from '@dharma/async/connection-pool'
import { isWorkingOnServer, PostgresConnection } from './connection.ts'
import { PostgresTimeoutError, wrapPostgresError } from './errors.ts'
import type { PostgresSettings } from './postgres-options.ts'
import { Session, type QueryOptions } from './session.ts'

const NEXT_LOOK_MS = 50
const MAX_LOOKS = 20

/** The exclusive lane: sessions lent to one borrower at a time, out of a pool. */
export class Sessions {
  readonly #settings: PostgresSettings
  readonly #pool: ConnectionPool<PostgresConnection>
  readonly #open = new Set<PostgresConnection>()

  constructor(settings: PostgresSettings) {
    const { pool, name, connectTimeoutMs, clock, random, metrics } = settings
    this.#settings = settings
    this.#pool = new ConnectionPool<PostgresConnection>(
      {
        create: async (context) => {
          const connection = await PostgresConnection.open(settings, context)
          this.#open.add(connection)
          return connection
        },
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
      { ...pool, name, clock, random, metrics, createTimeoutMs: connectTimeoutMs },
    )
  }

  connect(): Promise<void> {
    return this.#pool.connect()
  }

  stats(): PoolStats {
    return this.#pool.stats()
  }

  async close(deadlineMs: number): Promise<void> {
    await this.#pool.drain({ deadlineMs })
  }

  /**
   * To be called when another connection proved to be frozen: what nobody uses is probably as dead
   * and ends; a session with a statement under way ends if the server knows nothing of it.
   */
  endFrozen(): void {
    for (const connection of this.#open) {
      if (!connection.isInUse) this.#pool.invalidate(connection)
      else if (connection.underWay !== undefined) void this.#endIfFrozen(connection)
    }
  }

  async #endIfFrozen(connection: PostgresConnection): Promise<void> {
    const { underWay, processId } = connection
    let looksIdle = 0
    for (let look = 0; look < MAX_LOOKS && connection.underWay === underWay; look++) {
      // An answer may still be on its way when the server says that it is done: hence two looks.
      if (looksIdle === 2) {
        connection.destroy()
        return
      }
      const isWorking = await isWorkingOnServer(this.#settings, processId)
      if (isWorking === true) return
      if (isWorking === false) looksIdle += 1
      await this.#settings.clock.sleep(NEXT_LOOK_MS)
    }
  }

  /** Lends a session for `work`; the time spent waiting for it counts. */
  async use<R>(
    { timeoutMs = this.#settings.queryTimeoutMs, signal }: QueryOptions,
    work: (session: Session, remainingMs: () => number) => Promise<R>,
  ): Promise<R> {
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    const { clock } = this.#settings
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const lease = await this.#pool.acquire({ timeoutMs, signal })
    const connection = lease.resource
    connection.isInUse = true
    const session = new Session(connection, this.#settings, clock)
    try {
      return await work(session, () => Math.max(1, deadlineMs - clock.monotonicMs()))
    } catch (error) {
      // What was left of the time when the statement was sent is of no interest to the caller.
      if (error instanceof PostgresTimeoutError) throw new PostgresTimeoutError('query', timeoutMs)
      throw asOwn(error)
    } finally {
      const giveBack = (): void => {
        connection.isInUse = false
        if (session.isBroken) lease.destroy()
        else lease.release()
      }
      // The caller has his answer; the session comes back when the server has let go of it.
      if (session.settling === undefined) giveBack()
      else void session.settling.finally(giveBack)
    }
  }
}

/** Errors of the driver wrapped; the caller's own, and ours, as they are. */
function asOwn(error: unknown): unknown {
  const isDriverError = error instanceof Error && 'severity' in error && 'routine' in error
  return isDriverError ? wrapPostgresError(error) : error
}
