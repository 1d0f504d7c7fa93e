import { PostgresConnection } from '../connection.ts'
import type { EndpointHealth } from '../endpoints/endpoint-health.ts'
import { PostgresConnectionError, unclearOutcome, wrapPostgresError } from '../errors.ts'
import type { FreezeDetector, FreezeSource, Suspect } from '../freeze-detector.ts'
import { isWithin } from '../is-within.ts'
import { isReadOnlyRefusal } from '../outage.ts'
import type { PostgresSettings } from '../postgres-options.ts'
import { STALE_STATEMENT, toQueryResult } from '../session.ts'
import { LaneCounter, type FastLaneStats } from './lane-stats.ts'
import { LaneSizer } from './lane-sizer.ts'
import { LaneWatch } from './lane-watch.ts'
import { PipelinedClient, type Sent } from './pipelined-client.ts'
import type { PipelinedRequest } from './pipelined-request.ts'
import type { LatencyFloor } from './statement-book.ts'

export const MAX_IN_FLIGHT = 64
/** From here on a further connection is worth opening. */
const CROWDED_IN_FLIGHT = 8
const MAX_LIFETIME_MS = 1_800_000
const MAX_BACKOFF_MS = 5_000
const FAREWELL_MS = 1_000

/** What the lane needs of its owner. */
export interface FastLaneContext {
  readonly settings: PostgresSettings
  readonly floor: LatencyFloor
  readonly health: EndpointHealth
  /** Runs a request on a connection of its own, now that it has left the lane. */
  readonly runElsewhere: (request: PipelinedRequest) => void
  readonly detector: FreezeDetector
}

/** Short statements of many callers over a few connections, none waiting for the answers of others. */
export class FastLane implements FreezeSource {
  readonly #context: FastLaneContext
  readonly #maxConnections: number
  readonly #sizer: LaneSizer
  readonly #counter: LaneCounter
  readonly #watch: LaneWatch
  readonly #clients: PipelinedClient[] = []
  #waiting: PipelinedRequest[] = []
  #openingCount = 0
  #opening = new AbortController()
  #failures = 0
  #openAgainAtMs = 0
  #isClosed = false
  #onEmpty: (() => void) | undefined

  constructor(context: FastLaneContext) {
    const { settings } = context
    this.#context = context
    this.#maxConnections = settings.pipelineConnections
    this.#sizer = new LaneSizer(this.#maxConnections)
    this.#counter = new LaneCounter(settings.metrics, settings.name)
    this.#watch = new LaneWatch({
      settings,
      sizer: this.#sizer,
      counter: this.#counter,
      clients: this.#clients,
      waiting: () => this.#waiting,
      move: (request) => this.#move(request),
      lookForFrozen: () => void context.detector.look(),
      giveUpFrozen: (client, isPatient) => this.#giveUpFrozen(client, isPatient),
      retire: (client) => this.#retire(client),
    })
    context.detector.add(this)
  }

  /** Whether a statement can be sent now; if not, a connection is being opened for the next ones. */
  get isReady(): boolean {
    if (this.#isClosed) return false
    for (const { state } of this.#clients) if (state === 'rotating') return true
    this.#openOne()
    return false
  }

  /** Sends a statement on the connection with the fewest on their way, or as soon as there is room. */
  send(request: PipelinedRequest): void {
    const client = this.#pick()
    this.#watch.expect(request)
    if (client !== undefined) client.send(request, this.#context.settings.clock.monotonicMs())
    else if (this.#canWait()) this.#waiting.push(request)
    else this.#context.runElsewhere(request)
  }

  stats(): FastLaneStats {
    return {
      connections: this.#clients.length,
      wantedConnections: this.#sizer.size,
      inFlight: this.#clients.reduce((sum, { inFlight }) => sum + inFlight, 0),
      waiting: this.#waiting.length,
      totals: { ...this.#counter.totals },
    }
  }

  /** For {@link FreezeDetector}. */
  suspects(): Suspect[] {
    return this.#watch.suspects()
  }

  /** For {@link FreezeDetector}: what nobody waits for is not taken to be alive. */
  onFrozen(): void {
    this.#endOpening()
    for (const client of this.#clients.slice()) if (client.inFlight === 0) this.#lose(client)
  }

  /** The server is gone: reads go elsewhere, of the rest it is not known whether they were done. */
  endAll(): void {
    this.#endOpening()
    for (const client of this.#clients.slice()) this.#giveUp(client)
  }

  /** Lets what is on its way end within `deadlineMs`, then closes all connections. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true
    this.#opening.abort()
    const emptied = new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
    this.#retireWhenDone()
    await isWithin(this.#context.settings.clock, deadlineMs, emptied)
    this.#watch.stop()
    this.#counter.publish()
    for (const client of this.#clients.slice()) client.connection.destroy()
  }

  #pick(): PipelinedClient | undefined {
    let best: PipelinedClient | undefined
    let rotating = 0
    for (const client of this.#clients) {
      if (client.state !== 'rotating') continue
      rotating += 1
      if (best === undefined || client.inFlight < best.inFlight) best = client
    }
    if (best === undefined || best.inFlight >= CROWDED_IN_FLIGHT) {
      if (rotating + this.#openingCount < this.#sizer.size) this.#openOne()
    }
    return best === undefined || best.inFlight >= MAX_IN_FLIGHT ? undefined : best
  }

  #canWait(): boolean {
    const isServed = this.#clients.some(({ state }) => state === 'rotating')
    return isServed && this.#waiting.length < this.#context.settings.pool.maxWaiting
  }

  /** Sends a request that left its connection on another one. */
  #move(request: PipelinedRequest): void {
    this.#counter.totals.moved += 1
    const client = request.isWanderer ? undefined : this.#pick()
    if (client === undefined) this.#context.runElsewhere(request)
    else client.send(request, this.#context.settings.clock.monotonicMs())
  }

  #openOne(): void {
    const { settings } = this.#context
    if (this.#isClosed || this.#openingCount > 0 || this.#context.health.isDown) return
    if (this.#clients.filter(({ isFrozen }) => !isFrozen).length >= this.#maxConnections) return
    if (settings.clock.monotonicMs() < this.#openAgainAtMs) return
    this.#openingCount += 1
    void this.#open(settings)
  }

  async #open(settings: PostgresSettings): Promise<void> {
    const { clock, random } = settings
    let client: PipelinedClient | undefined
    let isDead = false
    const onDead = (): void => {
      isDead = true
      if (client !== undefined) this.#lose(client)
    }
    try {
      const context = { signal: this.#opening.signal, onDead }
      const connection = await PostgresConnection.open(settings, context, { pipeline: true })
      const lifetimeMs = MAX_LIFETIME_MS * (1 - 0.1 * random())
      client = new PipelinedClient(connection, clock.monotonicMs() + lifetimeMs, this)
      if (this.#isClosed || isDead) connection.destroy()
      else this.#clients.push(client)
      this.#failures = 0
    } catch {
      // Callers meet the reason in the other lane, whose pool tries the same.
      this.#failures += 1
      const backoffMs = Math.min(MAX_BACKOFF_MS, 10 * 2 ** this.#failures)
      this.#openAgainAtMs = clock.monotonicMs() + backoffMs * (0.5 + random() / 2)
    } finally {
      this.#openingCount -= 1
    }
    if (client?.state === 'rotating') this.#fill(client)
  }

  /** For {@link PipelinedClient}. */
  onAnswer(client: PipelinedClient, sent: Sent, error: Error | undefined, result: unknown): void {
    const nowMs = this.#context.settings.clock.monotonicMs()
    const { request } = sent
    if (request !== undefined && !request.isSettled) {
      if (error === undefined) {
        request.record.observe(nowMs - Math.max(sent.sentMs, client.headSinceMs))
        this.#context.floor.observe(nowMs - sent.sentMs)
        this.#counter.totals.answered += 1
        this.#context.health.answers += 1
        request.resolve(toQueryResult(result))
      } else {
        this.#fail(client, request, error)
      }
    }
    if (client.state === 'blocked') {
      client.state = 'rotating'
      client.isFrozen = false
      if (client.cancelledHead !== sent) this.#watch.passed(nowMs - client.headSinceMs)
    }
    client.headSinceMs = nowMs
    if (client.state === 'retiring' && client.inFlight === 0) void this.#farewell(client)
    else if (this.#waiting.length > 0) this.#fill(client)
    if (this.#isClosed) this.#retireWhenDone()
  }

  /** Once closed, connections take what still waits and nothing else. */
  #retireWhenDone(): void {
    if (this.#waiting.length > 0) return
    for (const client of this.#clients.slice()) this.#retire(client)
    this.#tellEmpty()
  }

  #fail(client: PipelinedClient, request: PipelinedRequest, thrown: Error): void {
    if (!('severity' in thrown) && client.state !== 'dead') {
      // The driver could not write a value: the caller's mistake, of which the server knows nothing.
      request.reject(thrown)
      return
    }
    const error = wrapPostgresError(thrown)
    if (error instanceof PostgresConnectionError) {
      this.#lose(client)
      this.#lost(request, thrown)
      return
    }
    this.#counter.totals.answered += 1
    const sqlState = 'sqlState' in error ? String(error.sqlState) : ''
    const isStale = STALE_STATEMENT.has(sqlState)
    if (isStale) client.connection.forgetStatement(request.text)
    // In all cases the server says that the statement has done nothing.
    const isCancelled = sqlState === '57014' && client.wasCancelled
    if (isStale || isCancelled || isReadOnlyRefusal(error)) this.#runElsewhere(request)
    else request.reject(error)
  }

  #lost(request: PipelinedRequest, cause: Error | undefined): void {
    request.losses += 1
    if (request.maySendAgain) {
      this.#runElsewhere(request)
      return
    }
    request.reject(
      request.isRead
        ? new PostgresConnectionError(
            `PostgreSQL connection lost before the answer, ${request.losses} times in a row`,
            undefined,
            { cause },
          )
        : unclearOutcome(cause),
    )
  }

  #runElsewhere(request: PipelinedRequest): void {
    this.#counter.totals.moved += 1
    this.#context.runElsewhere(request)
  }

  #fill(client: PipelinedClient): void {
    const nowMs = this.#context.settings.clock.monotonicMs()
    let sent = 0
    while (sent < this.#waiting.length && client.state === 'rotating') {
      if (client.inFlight >= MAX_IN_FLIGHT) break
      const request = this.#waiting[sent++]
      if (request?.isSettled === false) client.send(request, nowMs)
    }
    if (sent > 0) this.#waiting = this.#waiting.slice(sent)
  }

  #endOpening(): void {
    this.#opening.abort()
    this.#opening = new AbortController()
  }

  /** Takes a connection out for good; the driver then fails what is on its way, one by one. */
  #lose(client: PipelinedClient): void {
    if (client.state === 'dead') return
    client.state = 'dead'
    this.#counter.totals.lost += 1
    this.#remove(client)
    client.connection.destroy()
    this.#context.health.suspect()
  }

  #giveUpFrozen(client: PipelinedClient, isPatient: boolean): void {
    if (client.state === 'dead') return
    if (!client.isFrozen) this.#counter.totals.frozen += 1
    client.isFrozen = true
    client.head?.request?.record.acquit()
    for (const request of client.takeAll(({ maySendAgain }) => maySendAgain)) {
      request.losses += 1
      this.#move(request)
    }
    if (!isPatient || !client.hasWaiters) this.#giveUp(client)
  }

  #giveUp(client: PipelinedClient): void {
    const left = client.takeAll()
    this.#lose(client)
    for (const request of left) this.#lost(request, undefined)
  }

  #retire(client: PipelinedClient): void {
    if (client.state === 'dead' || client.state === 'retiring') return
    client.state = 'retiring'
    if (client.inFlight === 0) void this.#farewell(client)
  }

  async #farewell(client: PipelinedClient): Promise<void> {
    client.state = 'dead'
    this.#remove(client)
    await isWithin(this.#context.settings.clock, FAREWELL_MS, client.connection.end())
    client.connection.destroy()
  }

  #remove(client: PipelinedClient): void {
    const index = this.#clients.indexOf(client)
    if (index !== -1) this.#clients.splice(index, 1)
    if (!this.#clients.some(({ state }) => state === 'rotating')) this.#sendWaitingElsewhere()
    this.#tellEmpty()
  }

  #sendWaitingElsewhere(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const request of waiting) if (!request.isSettled) this.#runElsewhere(request)
  }

  #tellEmpty(): void {
    if (this.#clients.length === 0) this.#onEmpty?.()
  }
}
