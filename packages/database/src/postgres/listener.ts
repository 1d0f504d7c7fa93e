import { ClosedError, toError, type Timer } from '@dharma/core'
import { PostgresConnection } from './connection.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { PostgresSettings } from './postgres-options.ts'

/** A notification as it came. */
export interface Notification {
  readonly channel: string
  readonly payload: string
}

export type NotificationHandler = (notification: Notification) => void

/** A time in which notifications were lost. */
export interface ListenGap {
  /** From the last sign of life of the old connection until the new one listened. */
  readonly lostMs: number
  /** Why the old connection ended. */
  readonly cause: Error
}

export interface ListenOptions {
  /** Called when the channel is listened to again, so that what was missed can be read otherwise. */
  readonly onGap?: ((gap: ListenGap) => void) | undefined
}

/** A channel being listened to. Closing it a second time does nothing. */
export interface Subscription extends AsyncDisposable {
  close(): Promise<void>
}

interface Subscriber {
  readonly handler: NotificationHandler
  readonly onGap: ListenOptions['onGap']
}

const FIRST_BACKOFF_MS = 10
const MAX_BACKOFF_MS = 5_000
/** A silent connection is asked for a sign of life this often, and given as long to answer. */
const HEARTBEAT_MS = 5_000

/** One connection that listens for all channels of a manager, opened with the first, closed with the last. */
export class Listener {
  readonly #settings: PostgresSettings
  /** Of the server to listen to, which changes with the primary. */
  readonly #target: () => PostgresSettings
  readonly #channels = new Map<string, Set<Subscriber>>()
  readonly #closing = new AbortController()
  #connection: Promise<PostgresConnection> | undefined
  #heartbeat: Timer | undefined
  #aliveMs = 0

  constructor(settings: PostgresSettings, target: () => PostgresSettings) {
    this.#settings = settings
    this.#target = target
  }

  async listen(
    channel: string,
    handler: NotificationHandler,
    { onGap }: ListenOptions,
  ): Promise<Subscription> {
    const name = quoteIdentifier(channel)
    if (this.#settings.isPooled) {
      throw new TypeError(
        'listen needs a session of its own, which a pooler in transaction mode does not give (prepare: false): use a manager that connects to the server itself',
      )
    }
    if (this.#closing.signal.aborted) throw new ClosedError(this.#settings.name)
    const subscriber: Subscriber = { handler, onGap }
    const subscribers = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, subscribers.add(subscriber))
    const close = (): Promise<void> => this.#unlisten(channel, subscriber)
    try {
      this.#connection ??= this.#open()
      const { client } = await this.#connection
      await client.query(`listen ${name}`)
    } catch (error) {
      await close()
      throw error
    }
    return { close, [Symbol.asyncDispose]: close }
  }

  /** Another server is the primary: notifications come from there now. */
  move(): void {
    const opening = this.#connection
    // An attempt under way fails or succeeds on its own; the loss of what it opened leads on.
    void opening?.then(
      (connection) => connection.destroy(),
      () => undefined,
    )
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClosedError(this.#settings.name))
    this.#channels.clear()
    await this.#hangUp()
  }

  async #unlisten(channel: string, subscriber: Subscriber): Promise<void> {
    const subscribers = this.#channels.get(channel)
    if (subscribers?.delete(subscriber) !== true || subscribers.size > 0) return
    this.#channels.delete(channel)
    if (this.#channels.size === 0) await this.#hangUp()
    else await this.#forgetChannel(channel)
  }

  async #forgetChannel(channel: string): Promise<void> {
    try {
      const connection = await this.#connection
      await connection?.client.query(`unlisten ${quoteIdentifier(channel)}`)
    } catch {
      // A lost connection listens to nothing, and the next one not to this channel.
    }
  }

  async #hangUp(): Promise<void> {
    const opening = this.#connection
    this.#connection = undefined
    this.#heartbeat?.cancel()
    // One that cannot be opened has told its callers why.
    const connection = await opening?.catch(() => undefined)
    connection?.destroy()
  }

  #open(): Promise<PostgresConnection> {
    const opening: Promise<PostgresConnection> = this.#openFor((cause) => {
      if (this.#connection === opening) void this.#reopen(cause)
    })
    opening.catch(() => {
      if (this.#connection === opening) this.#connection = undefined
    })
    return opening
  }

  async #openFor(onLost: (cause: Error) => void): Promise<PostgresConnection> {
    const context = {
      signal: this.#closing.signal,
      onDead: (cause: unknown) => onLost(toError(cause)),
    }
    const connection = await PostgresConnection.open(this.#target(), context)
    connection.client.on('notification', ({ channel, payload = '' }) => {
      this.#aliveMs = this.#settings.clock.monotonicMs()
      for (const { handler } of this.#channels.get(channel) ?? []) handler({ channel, payload })
    })
    this.#aliveMs = this.#settings.clock.monotonicMs()
    this.#beat(connection)
    return connection
  }

  /** Opens a new connection for all channels, however long that takes, and reports the gap. */
  async #reopen(cause: Error): Promise<void> {
    const { clock, random } = this.#settings
    const lostSinceMs = this.#aliveMs
    const { signal } = this.#closing
    const reopening = Promise.withResolvers<PostgresConnection>()
    reopening.promise.catch(() => undefined)
    this.#connection = reopening.promise
    const isWanted = (): boolean => this.#connection === reopening.promise && !signal.aborted
    for (let attempt = 0; isWanted(); attempt++) {
      let connection: PostgresConnection | undefined
      try {
        let isLost = false
        let isOpen = false
        connection = await this.#openFor((again) => {
          isLost = true
          if (isOpen && isWanted()) void this.#reopen(again)
        })
        const names = [...this.#channels.keys()].map((name) => `listen ${quoteIdentifier(name)}`)
        if (names.length > 0) await connection.client.query(names.join('; '))
        isOpen = !isLost
        if (isOpen && isWanted()) {
          reopening.resolve(connection)
          this.#reportGap({ lostMs: clock.monotonicMs() - lostSinceMs, cause })
          return
        }
        connection.destroy()
      } catch {
        // Whatever the reason, the next attempt is the remedy; `onGap` tells of the first one.
        connection?.destroy()
      }
      const ceilingMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt)
      await clock.sleep(ceilingMs * (0.5 + random() / 2), signal).catch(() => undefined)
    }
    reopening.reject(new ClosedError(this.#settings.name))
  }

  #reportGap(gap: ListenGap): void {
    for (const subscribers of this.#channels.values()) {
      for (const { onGap } of subscribers) onGap?.(gap)
    }
  }

  #beat(connection: PostgresConnection): void {
    const { clock } = this.#settings
    this.#heartbeat?.cancel()
    this.#heartbeat = clock.setTimeout(() => void this.#check(connection), HEARTBEAT_MS, {
      keepsAlive: false,
    })
  }

  /** Ends a connection that gives no sign of life, which then counts as lost. */
  async #check(connection: PostgresConnection): Promise<void> {
    const { clock } = this.#settings
    const late = clock.setTimeout(() => connection.destroy(), HEARTBEAT_MS, { keepsAlive: false })
    try {
      await connection.client.query('select 1')
      this.#aliveMs = clock.monotonicMs()
      this.#beat(connection)
    } catch {
      // The loss itself is reported by the connection.
      connection.destroy()
    } finally {
      late.cancel()
    }
  }
}
