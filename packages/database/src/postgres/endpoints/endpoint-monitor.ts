import { PostgresConnection } from '../connection.ts'
import type { Endpoint } from './endpoint.ts'
import { askRole, type RoleReport } from './role-probe.ts'

/** Asks one server again and again, on a connection of its own, what it is and how far it has come. */
export class EndpointMonitor {
  readonly #endpoint: Endpoint
  readonly #everyMs: number
  readonly #onReport: (report: RoleReport, sentMs: number) => void
  readonly #closing = new AbortController()
  readonly #asked = Promise.withResolvers<void>()
  #connection: PostgresConnection | undefined

  constructor(
    endpoint: Endpoint,
    everyMs: number,
    onReport: (report: RoleReport, sentMs: number) => void,
  ) {
    this.#endpoint = endpoint
    this.#everyMs = everyMs
    this.#onReport = onReport
  }

  /** Resolves when the server was asked once, whether it answered or not. */
  start(): Promise<void> {
    void this.#run()
    return this.#asked.promise
  }

  close(): void {
    this.#closing.abort()
    this.#connection?.destroy()
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#endpoint.settings
    const { signal } = this.#closing
    while (!signal.aborted) {
      if (!this.#endpoint.health.isDown) await this.#ask()
      this.#asked.resolve()
      await clock.sleep(this.#everyMs * (0.9 + 0.2 * random()), signal).catch(() => undefined)
    }
  }

  async #ask(): Promise<void> {
    const { settings, health } = this.#endpoint
    try {
      this.#connection ??= await this.#open()
      const sentMs = settings.clock.monotonicMs()
      const report = await askRole(this.#connection, settings)
      health.answers += 1
      this.#onReport(report, sentMs)
    } catch {
      // The probe that this starts finds out what is wrong.
      this.#lose()
      if (!this.#closing.signal.aborted) health.suspect()
    }
  }

  async #open(): Promise<PostgresConnection> {
    const connection = await PostgresConnection.open(this.#endpoint.settings, {
      signal: this.#closing.signal,
      onDead: () => this.#lose(),
    })
    if (this.#closing.signal.aborted) connection.destroy()
    return connection
  }

  /** A server that ended a session may have been restarted, and then may have gone back a little. */
  #lose(): void {
    this.#endpoint.replayed = undefined
    this.#connection?.destroy()
    this.#connection = undefined
  }
}
