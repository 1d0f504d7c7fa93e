import type { Clock, Timer } from '@dharma/core'

/** Notices that a worker does not get on, and that it does not even answer. */
export class StallWatch {
  readonly #clock: Clock
  readonly #silenceMs: number
  readonly #onSilence: () => void
  #answered = -1
  #ticket = 0
  #timer: Timer | undefined

  constructor(clock: Clock, silenceMs: number, onSilence: () => void) {
    this.#clock = clock
    this.#silenceMs = silenceMs
    this.#onSilence = onSilence
  }

  /** Whether the worker has been asked for an answer and owes it. */
  get isSilent(): boolean {
    return this.#timer !== undefined
  }

  /** The last ticket that has been without effect for a whole look, if nothing came since the last. */
  look(answered: number, lastTicket: number): number | undefined {
    const before = { answered: this.#answered, ticket: this.#ticket }
    this.#answered = answered
    this.#ticket = lastTicket
    return answered === before.answered && !this.isSilent ? before.ticket : undefined
  }

  /** To be called with the question. */
  asked(): void {
    const onTimer = (): void => this.#onSilence()
    this.#timer = this.#clock.setTimeout(onTimer, this.#silenceMs, { keepsAlive: false })
  }

  /** The worker has answered, or is gone. */
  clear(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
