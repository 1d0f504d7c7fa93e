import { AsyncLocalStorage } from 'node:async_hooks'
import { PostgresUnavailableError } from '../errors.ts'
import { isCrowded, isLessThan, isOutage, isReadOnlyRefusal, reasonNotDone } from '../outage.ts'
import type { PostgresSettings } from '../postgres-options.ts'
import type { QueryMetrics } from '../query-metrics.ts'
import type { QueryOptions, QueryResult, Session } from '../session.ts'
import { Endpoint, type EndpointOwner } from './endpoint.ts'
import { EndpointMonitor } from './endpoint-monitor.ts'
import { LagTracker } from './lag-tracker.ts'
import { parseLsn, type Lsn } from './lsn.ts'
import { PrimaryWait } from './primary-wait.ts'
import { ReadContext } from './read-context.ts'
import { probeRole, type RoleReport } from './role-probe.ts'

/** Anew this often after the first at most, where nothing was done. */
const MAX_HOPS = 1_000
const FIRST_PAUSE_MS = 5
const MAX_PAUSE_MS = 250

/** One server at one moment. */
export interface EndpointStats {
  /** Host and port. */
  readonly server: string
  readonly role: Endpoint['role']
  readonly isUp: boolean
  /** How old the data of a replica may be; `undefined` for others, and while it is not known. */
  readonly lagMs: number | undefined
  /** Reads under way on a replica. */
  readonly reads: number
}

/**
 * The servers of one database: knows which one is the primary, waits where that changes, and finds a
 * replica for a read that bears one. What was sent and may have been carried out is never sent twice.
 */
export class EndpointSet implements EndpointOwner {
  readonly endpoints: readonly Endpoint[]
  /** Whether there is only one server, so that its role does not matter. */
  readonly isSingle: boolean
  readonly #settings: PostgresSettings
  readonly #lag = new LagTracker()
  readonly #wait: PrimaryWait
  readonly #contexts = new AsyncLocalStorage<ReadContext>()
  readonly #monitors: readonly EndpointMonitor[]
  readonly #onPrimary: () => void
  #primary: Endpoint
  #watching: Promise<unknown> | undefined
  #turn = 0

  /** @param onPrimary called when another server became the primary */
  constructor(settings: PostgresSettings, metrics: QueryMetrics, onPrimary: () => void) {
    this.#settings = settings
    this.#onPrimary = onPrimary
    this.#wait = new PrimaryWait(settings, () => this.#isServing(this.#primary))
    this.endpoints = [settings.url, ...settings.replicas].map((url, index) => {
      const own =
        index === 0 ? settings : { ...settings, url, name: `${settings.name}_${index + 1}` }
      return new Endpoint(own, index === 0 ? 'primary' : 'replica', metrics, this)
    })
    this.#primary = this.endpoints[0] as Endpoint
    this.isSingle = this.endpoints.length === 1
    this.#monitors = this.isSingle
      ? []
      : this.endpoints.map((endpoint) => {
          return new EndpointMonitor(endpoint, settings.roleCheckMs, (report, sentMs) =>
            this.onReport(endpoint, report, sentMs),
          )
        })
  }

  get primary(): Endpoint {
    return this.#primary
  }

  /** Opens what is to be open; rejects where the primary cannot be reached. */
  async connect(): Promise<void> {
    await this.#watch()
    await this.#primary.sessions.connect()
  }

  /** Runs one statement, on a replica where the caller bears that. */
  run(
    text: string,
    values: readonly unknown[],
    options: QueryOptions,
  ): Promise<QueryResult<unknown>> {
    if (this.isSingle) return this.#primary.runner.run(text, values, options)
    void this.#watch()
    if (options.replica === true) return this.#read(text, values, options)
    const { runner } = this.#primary
    const context = this.#contexts.getStore()
    if (context === undefined || runner.isRead(text)) return runner.run(text, values, options)
    context.wrote()
    return runner.run(text, values, options).finally(() => context.wrote())
  }

  /** Lends a session of the primary, or of a replica where `replica` is set, for `work`. */
  async use<R>(
    options: QueryOptions,
    work: (session: Session, remainingMs: () => number) => Promise<R>,
  ): Promise<R> {
    const context = this.#contexts.getStore()
    if (options.replica === true && !this.isSingle) {
      const replica = this.#pickReplica()
      if (replica !== undefined) return this.#useOn(replica, options, work)
    } else context?.wrote()
    try {
      return await this.#useOn(this.#primary, options, work)
    } finally {
      if (options.replica !== true) context?.wrote()
    }
  }

  /** Runs `fn` so that its reads see its writes, and those before `position`. */
  readYourWrites<R>(fn: () => R, position: string | undefined): R {
    const outer = this.#contexts.getStore()
    if (outer !== undefined && position === undefined) return fn()
    const context = new ReadContext(position === undefined ? undefined : parseLsn(position))
    return this.#contexts.run(context, fn)
  }

  /** The place in the log before which the writes of this context lie. */
  async position(): Promise<Lsn> {
    const context = this.#contexts.getStore()
    return context === undefined ? this.#askPosition() : context.locate(() => this.#askPosition())
  }

  stats(): readonly EndpointStats[] {
    return this.endpoints.map((endpoint) => {
      const { server, role, health, reads } = endpoint
      const lagMs = this.#lagOf(endpoint)
      return {
        server,
        role,
        isUp: !health.isDown,
        lagMs: lagMs < Infinity ? lagMs : undefined,
        reads,
      }
    })
  }

  async close(deadlineMs: number): Promise<void> {
    const { clock } = this.#settings
    this.#wait.close()
    for (const monitor of this.#monitors) monitor.close()
    const endMs = clock.monotonicMs() + deadlineMs
    await Promise.all(
      this.endpoints.map(async ({ runner, sessions, health, scaler, detector }) => {
        scaler?.close()
        await runner.close(deadlineMs)
        await sessions.close(Math.max(1, endMs - clock.monotonicMs()))
        health.close()
        detector.close()
      }),
    )
  }

  /** For {@link Endpoint}: runs elsewhere, or here again, what was not carried out. */
  readonly reroute: EndpointOwner['reroute'] = async (
    endpoint,
    statement,
    options,
    error,
    hops,
  ) => {
    const { clock } = this.#settings
    const { timeoutMs, signal, replica } = options
    const untilMs = clock.monotonicMs() + timeoutMs
    const next =
      (replica === true ? this.#pickReplica(endpoint) : undefined) ??
      (await this.#recover(endpoint, error, { hops, untilMs, signal }))
    const left = { ...options, timeoutMs: Math.max(1, untilMs - clock.monotonicMs()) }
    try {
      return await next.runner.run(statement.text, statement.values, left, hops + 1)
    } catch (late) {
      throw isLessThan(late, error) ? error : late
    }
  }

  /** For {@link Endpoint} and the monitors. */
  onReport(endpoint: Endpoint, { isReplica, lsn, timeline }: RoleReport, sentMs: number): void {
    if (isReplica) {
      endpoint.role = 'replica'
      endpoint.replayed = lsn
    } else {
      endpoint.timeline = timeline
      endpoint.replayed = undefined
      endpoint.role = this.endpoints.some((other) => isNewer(other, endpoint))
        ? 'superseded'
        : 'primary'
      if (endpoint.role === 'primary') this.#elect(endpoint)
      if (endpoint === this.#primary) this.#lag.primaryAt(sentMs, lsn)
    }
    this.onChange()
  }

  /** For {@link Endpoint}: something about a server is no longer as it was. */
  onChange(): void {
    this.#wait.onChange()
  }

  async #useOn<R>(
    first: Endpoint,
    options: QueryOptions,
    work: (session: Session, remainingMs: () => number) => Promise<R>,
  ): Promise<R> {
    const { clock, queryTimeoutMs } = this.#settings
    const { timeoutMs = queryTimeoutMs, signal } = options
    const untilMs = clock.monotonicMs() + timeoutMs
    let endpoint = first
    let before: Error | undefined
    for (let hops = 0; ; hops++) {
      const leftMs = hops === 0 ? timeoutMs : Math.max(1, untilMs - clock.monotonicMs())
      const lender = endpoint
      const isReplica = lender !== this.#primary
      if (isReplica) lender.reads += 1
      try {
        return await lender.sessions.use({ ...options, timeoutMs: leftMs }, work)
      } catch (error) {
        // Work that had begun may have used up what cannot be had again, such as the rows of a COPY.
        const reason = isReadOnlyRefusal(error) ? undefined : reasonNotDone(error)
        if (before !== undefined && isLessThan(error, before)) throw before
        if (reason === undefined || hops >= MAX_HOPS) throw error
        before = reason
        endpoint = await this.#recover(endpoint, reason, { hops, untilMs, signal })
      } finally {
        if (isReplica) lender.reads -= 1
      }
    }
  }

  async #read(
    text: string,
    values: readonly unknown[],
    options: QueryOptions,
  ): Promise<QueryResult<unknown>> {
    const replica = this.#pickReplica()
    if (replica === undefined) return this.#primary.runner.run(text, values, options)
    replica.reads += 1
    try {
      return await replica.runner.run(text, values, options)
    } finally {
      replica.reads -= 1
    }
  }

  /** The replica with the fewest reads under way, of those that are recent enough. */
  #pickReplica(except?: Endpoint): Endpoint | undefined {
    const context = this.#contexts.getStore()
    const position = context === undefined ? 0n : context.position
    if (position === undefined) {
      // The primary answers this one; where it cannot say, it also answers the next.
      context?.locate(() => this.#askPosition()).catch(() => undefined)
      return undefined
    }
    let best: Endpoint | undefined
    const { endpoints } = this
    this.#turn += 1
    for (let index = 0; index < endpoints.length; index++) {
      const endpoint = endpoints[(index + this.#turn) % endpoints.length] as Endpoint
      if (endpoint === except || endpoint.replayed === undefined || endpoint.replayed < position)
        continue
      if (endpoint.health.isDown || this.#lagOf(endpoint) > this.#settings.maxReplicaLagMs) continue
      if (best === undefined || endpoint.reads < best.reads) best = endpoint
    }
    return best
  }

  /**
   * While no primary answers nothing is written that a replica could lack, so that its lag stays
   * what it was when the primary was last heard of.
   */
  #lagOf({ role, replayed }: Endpoint): number {
    if (role !== 'replica' || replayed === undefined) return Infinity
    const nowMs = this.#settings.clock.monotonicMs()
    return this.#lag.lagMs(replayed, this.#primary.health.isDown ? this.#lag.heardMs : nowMs)
  }

  async #askPosition(): Promise<Lsn> {
    const { rows } = await this.#primary.runner.run(
      'select pg_current_wal_insert_lsn()::text as lsn',
      [],
      {},
    )
    return parseLsn((rows[0] as { readonly lsn: string }).lsn)
  }

  #elect(candidate: Endpoint): void {
    const before = this.#primary
    for (const other of this.endpoints) {
      if (other.role !== 'primary' || !isNewer(candidate, other)) continue
      if (other.timeline > 0 || other.health.isDown) other.role = 'superseded'
    }
    if (candidate === before || this.#isServing(before)) return
    this.#primary = candidate
    this.#lag.reset()
    // What is still sent to a primary that is none any more is lost, or refused at best.
    before.sessions.endAll(before.unavailable(new Error('another server is the primary now')))
    before.runner.endAll()
    this.#onPrimary()
  }

  /** Waits until there is a server that can do what `endpoint` did not. @throws the reason where that is in vain */
  async #recover(
    endpoint: Endpoint,
    reason: Error,
    { hops, untilMs, signal }: { hops: number; untilMs: number; signal: AbortSignal | undefined },
  ): Promise<Endpoint> {
    const { clock, random } = this.#settings
    if (isReadOnlyRefusal(reason)) await this.#checkRole(endpoint, reason)
    else if (isOutage(reason)) endpoint.health.suspect()
    if (endpoint === this.#primary) {
      if (!isReadOnlyRefusal(reason) && !isOutage(reason) && !isCrowded(reason)) throw reason
      const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** hops) * (0.5 + random() / 2)
      if (isCrowded(reason) && clock.monotonicMs() + pauseMs >= untilMs) throw reason
      await clock.sleep(pauseMs, signal)
    }
    if (await this.#wait.isServed(untilMs, signal)) return this.#primary
    // A pause may have lasted longer than it should; the server is there all the same.
    if (isCrowded(reason) && !this.#primary.health.isDown) throw reason
    throw this.#unavailable(reason)
  }

  /** @throws `reason` where the server is no replica, so that it is the statement which may not write */
  async #checkRole(endpoint: Endpoint, reason: Error): Promise<void> {
    if (this.isSingle) throw reason
    const { clock } = this.#settings
    const sentMs = clock.monotonicMs()
    try {
      const report = await probeRole(endpoint.settings, new AbortController().signal)
      this.onReport(endpoint, report, sentMs)
      if (!report.isReplica) throw reason
    } catch (error) {
      if (error === reason) throw error
      endpoint.health.suspect()
    }
  }

  #unavailable(reason: Error): PostgresUnavailableError {
    const { state } = this.#primary.health
    if (state.kind === 'down') return this.#primary.unavailable(state.error)
    return new PostgresUnavailableError(this.#settings.name, reason.message, 0, { cause: reason })
  }

  #isServing({ role, health }: Endpoint): boolean {
    return !health.isDown && (this.isSingle || role === 'primary')
  }

  #watch(): Promise<unknown> {
    this.#watching ??= Promise.all(this.#monitors.map((monitor) => monitor.start()))
    return this.#watching
  }
}

/** Whether one that was seen as a primary was promoted after the other. */
function isNewer(one: Endpoint, other: Endpoint): boolean {
  return one.timeline > other.timeline
}
