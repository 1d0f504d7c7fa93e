import type { ResultBuilder } from 'pg'
import type { PostgresConnection } from '../connection.ts'
import { queryFor } from '../described-query.ts'
import type { PipelinedRequest } from './pipelined-request.ts'

/** A statement on its way; the caller may have left. */
export interface Sent {
  /** `undefined` once the request is settled elsewhere or was sent on another connection. */
  request: PipelinedRequest | undefined
  readonly sentMs: number
  next: Sent | undefined
}

/** What a client tells of the answers it gets. */
export interface ClientListener {
  /** An answer arrived, in the order of sending. */
  onAnswer(client: PipelinedClient, sent: Sent, error: Error | undefined, result: unknown): void
}

/** `rotating` takes statements; `blocked` waits for one that overstays; `retiring` only ends what it has. */
export type ClientState = 'rotating' | 'blocked' | 'retiring' | 'dead'

type AnswerCallback = (error: Error | null | undefined, result: ResultBuilder) => void

/**
 * A connection on which statements are sent without waiting for the answers to earlier ones. Each
 * ends with a Sync of its own, so that the failure of one leaves the others alone.
 */
export class PipelinedClient {
  readonly connection: PostgresConnection
  readonly expiresAtMs: number
  state: ClientState = 'rotating'
  /** Statements on their way, those nobody waits for any more included. */
  inFlight = 0
  /** When the first statement on its way became the first. */
  headSinceMs = 0
  /** The first one when the lane last looked. */
  seenHead: Sent | undefined
  /** The first one, if the server was asked to cancel it. */
  cancelledHead: Sent | undefined
  /** Whether the server was ever asked to cancel, so that a cancelled statement may be one that was not meant. */
  wasCancelled = false
  /** When to look again whether the connection is alive; 0 while it answers. */
  lookAtMs = 0
  /** Whether it proved to be frozen; it then only waits for what may not be sent again. */
  isFrozen = false
  readonly #listener: ClientListener
  #head: Sent | undefined
  #tail: Sent | undefined
  #isCorked = false

  constructor(connection: PostgresConnection, expiresAtMs: number, listener: ClientListener) {
    this.connection = connection
    this.expiresAtMs = expiresAtMs
    this.#listener = listener
  }

  /** The statement that the server is at. */
  get head(): Sent | undefined {
    return this.#head
  }

  /** Sends a statement now, or with others of this turn of the event loop when some are on their way. */
  send(request: PipelinedRequest, nowMs: number): void {
    const { statements, columns } = this.connection
    const { text, values } = request
    if (this.inFlight > 0) this.#cork()
    else this.headSinceMs = nowMs
    request.sends += 1
    const { name, evicted } = statements.use(text)
    if (evicted !== undefined) this.#deallocate(evicted)
    const sent: Sent = { request, sentMs: nowMs, next: undefined }
    this.#enqueue(sent)
    if (name === undefined) {
      this.#query(sent, { text, values })
      return
    }
    const known = columns.get(name)
    this.#query(
      sent,
      queryFor({ name, text, values }, known),
      known === undefined ? name : undefined,
    )
  }

  /** Takes away what waits for an answer and `mayLeave`, first sent first. */
  takeAll(mayLeave?: (request: PipelinedRequest) => boolean): PipelinedRequest[] {
    return this.#take(this.#head, mayLeave)
  }

  /** Takes away what waits behind the first one and `mayLeave`. */
  takeBehindHead(mayLeave: (request: PipelinedRequest) => boolean): PipelinedRequest[] {
    return this.#take(this.#head?.next, mayLeave)
  }

  /** Whether someone still waits for an answer. */
  get hasWaiters(): boolean {
    return this.#head?.request?.isSettled === false || this.hasWaitersBehindHead
  }

  /** Whether someone still waits for a statement behind the first one. */
  get hasWaitersBehindHead(): boolean {
    for (let sent = this.#head?.next; sent !== undefined; sent = sent.next) {
      if (sent.request !== undefined && !sent.request.isSettled) return true
    }
    return false
  }

  #take(
    from: Sent | undefined,
    mayLeave: (request: PipelinedRequest) => boolean = () => true,
  ): PipelinedRequest[] {
    const taken: PipelinedRequest[] = []
    for (let sent = from; sent !== undefined; sent = sent.next) {
      const { request } = sent
      if (request === undefined || request.isSettled || !mayLeave(request)) continue
      sent.request = undefined
      taken.push(request)
    }
    return taken
  }

  /** @param newName of a statement whose columns are to be remembered */
  #query(sent: Sent, config: object, newName?: string): void {
    const { client, columns } = this.connection
    // The driver's types know neither readonly values nor a callback beside a configuration.
    const query = client.query.bind(client) as unknown as (
      config: object,
      callback: AnswerCallback,
    ) => void
    query(config, (error, result) => {
      if (newName !== undefined && !error) columns.set(newName, result.fields)
      this.#answered(sent, error ?? undefined, result)
    })
  }

  #deallocate(name: string): void {
    const sent: Sent = { request: undefined, sentMs: this.headSinceMs, next: undefined }
    this.#enqueue(sent)
    this.connection.client.query(`deallocate ${name}`, (error: Error | undefined) => {
      this.#answered(sent, error, undefined)
    })
    this.connection.forget(name)
  }

  #enqueue(sent: Sent): void {
    if (this.#tail === undefined) this.#head = sent
    else this.#tail.next = sent
    this.#tail = sent
    this.inFlight += 1
  }

  #answered(sent: Sent, error: Error | undefined, result: unknown): void {
    if (sent !== this.#head) {
      // A value that could not be sent: the answer to the empty place it left is still to come.
      const { request } = sent
      sent.request = undefined
      if (error !== undefined) request?.reject(error)
      return
    }
    this.#head = sent.next
    if (sent.next === undefined) this.#tail = undefined
    this.inFlight -= 1
    this.#listener.onAnswer(this, sent, error, result)
  }

  /** Holds the bytes back until all callers of this turn had theirs, for one write instead of many. */
  #cork(): void {
    if (this.#isCorked) return
    const { stream } = this.connection.client.connection as {
      stream?: { cork?: () => void; uncork?: () => void }
    }
    if (stream?.cork === undefined || stream.uncork === undefined) return
    this.#isCorked = true
    stream.cork()
    process.nextTick(() => {
      this.#isCorked = false
      stream.uncork?.()
    })
  }
}
