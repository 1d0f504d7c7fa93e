import type { Clock, Timer } from '@dharma/core'
import { PostgresConnection, type ConnectionSettings } from './connection.ts'

/** A session that waits for an answer. */
export interface Suspect {
  readonly processId: number
  /** Whether it still waits for the answer that it waited for when it was named. */
  readonly isWaiting: () => boolean
  /** Gives up what waits for an answer that the server has long sent. */
  readonly end: () => void
  /** The server is at work for it after all. */
  readonly onWorking?: () => void
}

/** Those who have connections. */
export interface FreezeSource {
  /** The sessions that have waited for long. */
  suspects(): Suspect[]
  /** Some connection is frozen: those on which nobody waits are probably no better. */
  onFrozen(): void
}

export interface FreezeDetectorContext {
  readonly settings: ConnectionSettings & { readonly clock: Clock }
  /** The server did not answer on a new connection. */
  readonly onNoAnswer: () => void
}

/** An answer may still be on its way when the server says that it is done. */
const SECOND_LOOK_MS = 30
/** The server is given this long to answer. */
const ANSWER_TIMEOUT_MS = 1_000
/**
 * How long what may not be sent again is waited for although the server is done with it: a packet
 * lost comes again after 200 ms, then after 400 ms. Source: RFC 6298, with the minimum that Linux has.
 */
export const WRITE_PATIENCE_MS = 1_000

const WORKING = `select pid from pg_stat_activity where pid = any($1) and state = 'active'`

/**
 * Tells connections that froze from statements that take long: asks the server, on one new
 * connection for all of them, for which sessions it has nothing to do. Those among them that get no
 * answer all the same are frozen.
 */
export class FreezeDetector {
  readonly #context: FreezeDetectorContext
  readonly #sources: FreezeSource[] = []
  readonly #closing = new AbortController()
  #isLooking = false
  #again: Timer | undefined

  constructor(context: FreezeDetectorContext) {
    this.#context = context
  }

  add(source: FreezeSource): void {
    this.#sources.push(source)
  }

  /** Looks, unless it is looking already. Process numbers behind a pooler are not the server's. */
  async look(): Promise<void> {
    if (this.#isLooking || this.#context.settings.isPooled) return
    const suspects = this.#sources.flatMap((source) => source.suspects())
    if (suspects.length === 0) return
    this.#isLooking = true
    try {
      this.#judge(await this.#idleAmong(suspects))
    } catch {
      // Whatever the reason, that there is none is what matters; callers meet it themselves.
      if (!this.#closing.signal.aborted) this.#context.onNoAnswer()
    } finally {
      this.#isLooking = false
    }
  }

  close(): void {
    this.#closing.abort()
    this.#again?.cancel()
  }

  #judge(frozen: readonly Suspect[]): void {
    if (frozen.length === 0) return
    for (const source of this.#sources) source.onFrozen()
    for (const suspect of frozen) suspect.end()
    const { clock } = this.#context.settings
    this.#again?.cancel()
    // Others answer by now, so that nothing else would make anyone look after what was left waiting.
    this.#again = clock.setTimeout(() => void this.look(), WRITE_PATIENCE_MS, { keepsAlive: false })
  }

  /** Those that the server twice had nothing to do for, and that wait on. */
  async #idleAmong(suspects: readonly Suspect[]): Promise<Suspect[]> {
    const { settings } = this.#context
    const { clock } = settings
    const connectTimeoutMs = Math.min(settings.connectTimeoutMs, ANSWER_TIMEOUT_MS)
    const connection = await PostgresConnection.open(
      { ...settings, connectTimeoutMs },
      { signal: this.#closing.signal, onDead: () => undefined },
    )
    try {
      let idle = await ask(connection, clock, suspects)
      if (idle.length === 0) return idle
      await clock.sleep(SECOND_LOOK_MS, this.#closing.signal)
      idle = await ask(connection, clock, idle)
      return idle.filter(({ isWaiting }) => isWaiting())
    } finally {
      connection.destroy()
    }
  }
}

/** Those of the suspects that wait while the server has nothing to do for them. */
async function ask(
  connection: PostgresConnection,
  clock: Clock,
  suspects: readonly Suspect[],
): Promise<Suspect[]> {
  const late = clock.setTimeout(() => connection.destroy(), ANSWER_TIMEOUT_MS)
  try {
    const { rows } = await connection.client.query<{ pid: number }>(WORKING, [
      suspects.map(({ processId }) => processId),
    ])
    const working = new Set(rows.map(({ pid }) => pid))
    return suspects.filter(({ processId, isWaiting, onWorking }) => {
      if (!isWaiting()) return false
      if (!working.has(processId)) return true
      onWorking?.()
      return false
    })
  } finally {
    late.cancel()
  }
}
