import type { Timer } from '@dharma/core'
import { PostgresTimeoutError } from '../errors.ts'
import { WRITE_PATIENCE_MS, type Suspect } from '../freeze-detector.ts'
import type { PostgresSettings } from '../postgres-options.ts'
import type { LaneSizer } from './lane-sizer.ts'
import type { LaneCounter } from './lane-stats.ts'
import type { PipelinedClient, Sent } from './pipelined-client.ts'
import type { PipelinedRequest } from './pipelined-request.ts'

const TICK_MS = 5
/** A statement that the server is at for longer holds up the others; on a busy machine, for up to the longest. */
const OVERSTAY_MS = 10
const LONGEST_OVERSTAY_MS = 50
const LIMIT_GROWTH = 1.5
const LIMIT_DECAY = 0.98
/** Times the limit after which a statement that holds up others is cancelled. */
const CANCEL_FACTOR = 2.5
/** A connection without an answer for longer may be frozen. */
const SILENT_MS = 100
const LOOK_AGAIN_MS = 1_000
const WINDOW_MS = 250

/** What the watch sees of its lane, and what it may do. */
export interface LaneWatchContext {
  readonly settings: PostgresSettings
  readonly sizer: LaneSizer
  readonly counter: LaneCounter
  readonly clients: readonly PipelinedClient[]
  readonly waiting: () => readonly PipelinedRequest[]
  readonly move: (request: PipelinedRequest) => void
  /** Finds out which connections are frozen, with the help of {@link LaneWatch.suspects}. */
  readonly lookForFrozen: () => void
  /** Sends elsewhere what may be; `isPatient` leaves the rest where it is. */
  readonly giveUpFrozen: (client: PipelinedClient, isPatient: boolean) => void
  readonly retire: (client: PipelinedClient) => void
}

/**
 * Looks after a lane every few milliseconds while something is on its way, so that no statement
 * needs a timer of its own: deadlines, statements that overstay, connections that froze.
 */
export class LaneWatch {
  readonly #context: LaneWatchContext
  #timer: Timer | undefined
  /** No deadline is earlier. */
  #earliestMs = Infinity
  #limitMs = OVERSTAY_MS
  #window = { startedMs: 0, answered: 0, inFlight: 0, ticks: 0 }

  constructor(context: LaneWatchContext) {
    this.#context = context
  }

  /** To be called for each request that comes. */
  expect({ deadlineMs }: PipelinedRequest): void {
    if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs
    if (this.#timer === undefined) this.#arm()
  }

  /** To be called when a statement that overstayed was answered after `tookMs` without being cancelled. */
  passed(tookMs: number): void {
    if (tookMs > CANCEL_FACTOR * this.#limitMs) return
    // It was the machine that was slow: looking less closely costs less than sending all again.
    this.#limitMs = Math.min(LONGEST_OVERSTAY_MS, this.#limitMs * LIMIT_GROWTH)
  }

  /** The connections without an answer for long. */
  suspects(): Suspect[] {
    const { clients, settings, giveUpFrozen } = this.#context
    const nowMs = settings.clock.monotonicMs()
    const suspects: Suspect[] = []
    for (const client of clients) {
      const { head } = client
      if (client.state !== 'blocked' || head === undefined) continue
      const forMs = nowMs - client.headSinceMs
      if (forMs < SILENT_MS) continue
      const wasAskedToEnd = client.cancelledHead === head && client.lookAtMs > 0
      client.lookAtMs = nowMs + LOOK_AGAIN_MS
      const end = (): void => giveUpFrozen(client, forMs < WRITE_PATIENCE_MS)
      suspects.push({
        processId: client.connection.processId,
        isWaiting: () => client.head === head,
        end,
        onWorking: () => {
          // Asked to end a while ago, and still at it.
          if (wasAskedToEnd) giveUpFrozen(client, false)
        },
      })
    }
    return suspects
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(): void {
    const { clock } = this.#context.settings
    this.#timer = clock.setTimeout(this.#tick, TICK_MS, { keepsAlive: false })
  }

  readonly #tick = (): void => {
    this.#timer = undefined
    const { clients, waiting, settings } = this.#context
    const nowMs = settings.clock.monotonicMs()
    if (nowMs >= this.#earliestMs) this.#expire(nowMs)
    let inFlight = 0
    for (const client of clients.slice()) {
      inFlight += client.inFlight
      this.#look(client, nowMs)
    }
    this.#measure(nowMs, inFlight)
    if (inFlight + waiting().length > 0) this.#arm()
    else this.#context.counter.publish()
  }

  #look(client: PipelinedClient, nowMs: number): void {
    const { head } = client
    if (client.expiresAtMs <= nowMs) this.#context.retire(client)
    if (head === undefined) return
    // Seen twice: after a blocked turn of the event loop its answer may lie there unread.
    const isSeenAgain = client.seenHead === head
    client.seenHead = head
    const forMs = nowMs - client.headSinceMs
    if (!isSeenAgain || forMs < this.#limitMs) return
    if (client.state === 'rotating') {
      client.state = 'blocked'
      client.lookAtMs = 0
      this.#context.counter.totals.overstayed += 1
      head.request?.record.overstayed(forMs)
      this.#freeReads(client)
    }
    const isUnwanted = head.request === undefined || head.request.isSettled
    const isLong = isUnwanted || forMs >= CANCEL_FACTOR * this.#limitMs
    if (isLong && client.cancelledHead !== head && (isUnwanted || client.hasWaitersBehindHead)) {
      this.#cancel(client, head)
    }
    if (forMs >= SILENT_MS && nowMs >= client.lookAtMs) this.#context.lookForFrozen()
  }

  /** Reads behind the one that overstays go elsewhere; a write may have been carried out, so it waits. */
  #freeReads(client: PipelinedClient): void {
    const reads = client.takeBehindHead(({ maySendAgain }) => maySendAgain)
    for (const request of reads) this.#context.move(request)
  }

  /**
   * Ends what the server is at. If someone wants it, it runs again in the other lane: the server's
   * word that it was cancelled proves that it did nothing. Without this, a write that waits for
   * a lock could hold up the very statement after which the lock's owner would let go.
   */
  #cancel(client: PipelinedClient, head: Sent): void {
    client.cancelledHead = head
    client.wasCancelled = true
    void client.connection.cancel(this.#context.settings).catch(() => {
      // A server that cannot be reached is found out otherwise.
    })
  }

  #expire(nowMs: number): void {
    const { clients, waiting } = this.#context
    this.#earliestMs = Infinity
    const check = (request: PipelinedRequest | undefined): void => {
      if (request === undefined || request.isSettled) return
      if (request.deadlineMs <= nowMs) {
        request.reject(new PostgresTimeoutError('query', request.timeoutMs))
      } else if (request.deadlineMs < this.#earliestMs) this.#earliestMs = request.deadlineMs
    }
    for (const request of waiting()) check(request)
    for (const client of clients) {
      for (let sent = client.head; sent !== undefined; sent = sent.next) check(sent.request)
    }
  }

  #measure(nowMs: number, inFlight: number): void {
    const window = this.#window
    const { sizer, counter, clients } = this.#context
    window.inFlight += inFlight
    window.ticks += 1
    const elapsedMs = nowMs - window.startedMs
    if (elapsedMs < WINDOW_MS) return
    const { answered } = counter.totals
    this.#limitMs = Math.max(OVERSTAY_MS, this.#limitMs * LIMIT_DECAY)
    // A window with a pause in it shows the callers' rate, not the lane's.
    if (elapsedMs < 2 * WINDOW_MS) {
      sizer.observe({
        answersPerSecond: ((answered - window.answered) * 1_000) / elapsedMs,
        meanInFlight: window.inFlight / window.ticks / Math.max(1, clients.length),
      })
      this.#trim()
    }
    counter.publish()
    this.#window = { startedMs: nowMs, answered, inFlight: 0, ticks: 0 }
  }

  #trim(): void {
    const { clients, sizer, retire } = this.#context
    const rotating = clients.filter(({ state }) => state === 'rotating')
    for (const client of rotating.slice(sizer.size)) retire(client)
  }
}
