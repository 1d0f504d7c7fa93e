import { toError, type Clock } from '@dharma/core'
import { isCertainOutage, isOutage } from '../outage.ts'

/** `up` until a probe on a new connection says otherwise. */
export type HealthState =
  | { readonly kind: 'up' }
  | {
      readonly kind: 'down'
      readonly sinceMs: number
      readonly retryAtMs: number
      readonly error: Error
    }

export interface EndpointHealthContext {
  readonly clock: Clock
  readonly random: () => number
  /** Asks the server something on a new connection. */
  readonly probe: (signal: AbortSignal) => Promise<void>
  /** The server is to be used no more, and what is under way on it is lost. */
  readonly onDown: (error: Error) => void
  /** The server answered a probe, after having been down or under suspicion. */
  readonly onAnswered: () => void
}

const FIRST_BACKOFF_MS = 10
const MAX_BACKOFF_MS = 1_000
/** Probes in a row that must stay without an answer; one that is refused suffices. */
const SILENT_PROBES = 2

/**
 * The circuit of one server. Suspicion, such as a deadline missed or a connection lost, starts a
 * probe on a new connection; if that fails too the server is down, and it is probed until it answers.
 */
export class EndpointHealth {
  readonly #context: EndpointHealthContext
  readonly #closing = new AbortController()
  #state: HealthState = { kind: 'up' }
  #isProbing = false
  #verdict: PromiseWithResolvers<void> | undefined
  /** Signs of life on any connection, counted. */
  answers = 0

  constructor(context: EndpointHealthContext) {
    this.#context = context
  }

  get state(): HealthState {
    return this.#state
  }

  get isDown(): boolean {
    return this.#state.kind === 'down'
  }

  /** Resolves when a server under suspicion proves to be up or down; `undefined` where there is none. */
  get verdict(): Promise<void> | undefined {
    return this.#verdict?.promise
  }

  /** Something happened that a server in good order would not let happen. */
  suspect(): void {
    if (this.#isProbing || this.#closing.signal.aborted) return
    this.#isProbing = true
    this.#verdict = Promise.withResolvers()
    void this.#investigate().finally(() => {
      this.#isProbing = false
      this.#judged()
    })
  }

  close(): void {
    this.#closing.abort()
  }

  async #investigate(): Promise<void> {
    const { clock, random, probe, onAnswered } = this.#context
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted;) {
      const answersBefore = this.answers
      try {
        await probe(signal)
        this.#state = { kind: 'up' }
        onAnswered()
        return
      } catch (thrown) {
        if (signal.aborted) return
        const error = toError(thrown)
        // After a blocked turn of the event loop the answer may lie there unread.
        await new Promise(setImmediate)
        const isUp = this.#state.kind === 'up'
        if (isUp && (!isOutage(error) || this.answers !== answersBefore)) return
        failures += 1
        const pauseMs =
          Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1)) * (0.5 + random() / 2)
        if (!isUp || isCertainOutage(error) || failures >= SILENT_PROBES) this.#fail(error, pauseMs)
        await clock.sleep(pauseMs, signal).catch(() => undefined)
      }
    }
  }

  #judged(): void {
    this.#verdict?.resolve()
    this.#verdict = undefined
  }

  #fail(error: Error, pauseMs: number): void {
    const nowMs = this.#context.clock.monotonicMs()
    const before = this.#state
    const sinceMs = before.kind === 'down' ? before.sinceMs : nowMs
    this.#state = { kind: 'down', sinceMs, retryAtMs: nowMs + pauseMs, error }
    if (before.kind === 'up') this.#context.onDown(error)
    this.#judged()
  }
}
