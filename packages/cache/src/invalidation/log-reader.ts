import type { Clock, Timer } from '@dharma/core'
import type { KeyLayout } from '../redis/key-layout.ts'
import type { RedisClient, RedisLink } from '../redis/redis-link.ts'
import { SCRIPTS } from '../redis/scripts.ts'
import { RedisUnavailableError } from '../errors.ts'
import { parseLogEvent, type LogEvent } from './log-event.ts'
import { parseStoredPatterns, type StoredPatterns } from './stored-patterns.ts'

/** Where the log ends, and what holds at that point. */
export interface LogPosition extends StoredPatterns {
  readonly version: number
}

export interface LogReaderOptions {
  readonly link: RedisLink
  readonly layout: KeyLayout
  readonly clock: Clock
  /** How long one read waits for records. */
  readonly blockMs: number
  /** Silence after which the connection is given up. */
  readonly silenceMs: number
  readonly onEvent: (event: LogEvent) => void
  /** Everything up to a moment has been read: `provenMs` on the clock, `serverMs` on Redis'. */
  readonly onSynced: (provenMs: number, serverMs: number) => void
  /** Records are missing, or were lost by Redis itself (`isRollback`): begin anew at the position. */
  readonly onRestart: (position: LogPosition, isRollback: boolean) => void
  readonly onError: (error: unknown) => void
  /** Highest version this process knows, so that Redis never numbers below it. */
  readonly versionHint: () => number
}

type Stream = readonly [
  name: Buffer,
  records: readonly (readonly [id: Buffer, fields: readonly Buffer[]])[],
]

type Sync = (
  ...parameters: (string | number)[]
) => Promise<[string, string, string, string, number]>

const MAX_RECORDS = 1_000
const RETRY_MS = 50

/**
 * Reads the log of invalidations with a blocking read on a connection of its own. Each record names
 * its predecessor, and each read also asks for the last number, so that a record which was trimmed,
 * evicted or lost in a failover is always noticed.
 */
export class LogReader {
  readonly #options: LogReaderOptions
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  #silence: Timer | undefined
  #lastId: string | undefined
  #version = 0
  /** Beginnings so far: an answer to what was asked before the last one says nothing any more. */
  #begun = 0

  constructor(options: LogReaderOptions) {
    this.#options = options
    options.link.client.defineCommand('dharmaSync', { lua: SCRIPTS.dharmaSync })
    this.#ended = this.#run()
  }

  /**
   * Makes sure that the server behind another connection has what was read here; begins anew where it
   * has not, as after a failover that lost the last writes.
   */
  async verify(client: RedisClient): Promise<void> {
    const begun = this.#begun
    const knownVersion = this.#options.versionHint()
    const { position, lastId, hasLast } = await this.#sync(client, knownVersion, this.#lastId)
    if (begun !== this.#begun) return this.verify(client)
    if (position.version >= knownVersion && hasLast) return
    // Reading goes on from here, so that it does not find the same once more.
    this.#begin(position, lastId, true)
  }

  /** Ends reading. The link is closed with it. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#silence?.cancel()
    this.#options.link.close()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await this.#options.link.whenReady(signal)
        this.#watchSilence()
        if (this.#lastId === undefined) await this.#restart(false)
        else await this.#readOnce(this.#lastId)
      } catch (error) {
        if (signal.aborted) return
        this.#options.onError(error)
        // It rejects when the reader is closed, and the loop ends with it.
        await this.#options.clock.sleep(RETRY_MS, signal).catch(() => undefined)
      }
    }
  }

  async #readOnce(lastId: string): Promise<void> {
    const { link, layout, clock, blockMs, versionHint } = this.#options
    const begun = this.#begun
    const knownVersion = Math.max(this.#version, versionHint())
    const sentMs = clock.monotonicMs()
    const replies = await link.client
      .pipeline()
      .role()
      .time()
      .get(layout.version)
      .xreadBuffer('COUNT', MAX_RECORDS, 'BLOCK', blockMs, 'STREAMS', layout.log, lastId)
      .exec()
    const [role, time, version, streams] = (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error
      return reply
    }) as [[string], [string, string], string | null, Stream[] | null]
    if (role[0] !== 'master') {
      // A replica that lost its master would prove an old state for ever.
      link.reset()
      throw new RedisUnavailableError({ cause: new Error(`the log was read from a ${role[0]}`) })
    }
    if (begun !== this.#begun) return
    // It never falls: this server lacks what was read before, or what another connection was told.
    const last = Number(version ?? 0)
    if (last < knownVersion) return this.#restart(true)
    const records = streams?.[0]?.[1] ?? []
    for (const [id, fields] of records) {
      const event = parseLogEvent(fields)
      if (event?.kind === 'invalidation') {
        if (event.previous !== this.#version) return this.#restart(event.previous < this.#version)
        this.#version = event.version
      }
      this.#lastId = id.toString()
      if (event !== undefined) this.#options.onEvent(event)
    }
    if (records.length === MAX_RECORDS) return
    // The number was read before the records, so they must reach it.
    if (last > this.#version) return this.#restart(false)
    const provenMs = sentMs + (records.length === 0 ? blockMs : 0)
    const serverMs = Number(time[0]) * 1_000 + Math.floor(Number(time[1]) / 1_000)
    this.#options.onSynced(provenMs, serverMs + (provenMs - sentMs))
  }

  async #restart(isRollback: boolean): Promise<void> {
    const { link, clock, versionHint } = this.#options
    const begun = this.#begun
    const sentMs = clock.monotonicMs()
    const { position, lastId, serverMs } = await this.#sync(
      link.client,
      isRollback ? 0 : versionHint(),
    )
    if (begun !== this.#begun) return
    this.#begin(position, lastId, isRollback)
    this.#options.onSynced(sentMs, serverMs)
  }

  #begin(position: LogPosition, lastId: string, isRollback: boolean): void {
    this.#begun++
    this.#version = position.version
    this.#lastId = lastId
    this.#options.onRestart(position, isRollback)
  }

  async #sync(
    client: RedisClient,
    hint: number,
    readLast = '',
  ): Promise<{
    readonly position: LogPosition
    readonly lastId: string
    readonly serverMs: number
    readonly hasLast: boolean
  }> {
    const { layout } = this.#options
    const { dharmaSync } = client as unknown as { readonly dharmaSync: Sync }
    const names = [layout.version, layout.patterns, layout.log]
    const reply = await dharmaSync.call(
      client,
      names.length,
      ...names,
      hint,
      emptyWhenNone(readLast),
    )
    const [version, ledger, lastId, serverMs, hasLast] = reply
    return {
      position: { version: Number(version), ...parseStoredPatterns(ledger) },
      lastId,
      serverMs: Number(serverMs),
      hasLast: hasLast === 1,
    }
  }

  /** A connection that is silent for longer than a read may wait is dead, whatever TCP thinks. */
  #watchSilence(): void {
    const { clock, silenceMs, link } = this.#options
    this.#silence?.cancel()
    this.#silence = clock.setTimeout(() => link.reset(), silenceMs, { keepsAlive: false })
  }
}

/** The id that stands for the end of an empty log is no record's. */
function emptyWhenNone(id: string): string {
  return id === '0-0' ? '' : id
}
