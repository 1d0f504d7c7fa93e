import type { Clock, Timer } from '@dharma/core'

export interface SilenceWatchContext {
  readonly clock: Clock
  /** Counts signs of life of the server, on any connection. */
  readonly answers: () => number
  /** Whether statements may wait for an answer. */
  readonly isWaiting: () => boolean
  /** Finds out whether the connections still live. */
  readonly look: () => Promise<void>
}

const TICK_MS = 50
/** Without any answer for so long, connections may be frozen. */
const SILENT_MS = 100
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000

/** Notices that nothing at all is answered any more, long before a deadline would; runs only while something is under way. */
export class SilenceWatch {
  readonly #context: SilenceWatchContext
  #timer: Timer | undefined
  #answers = -1
  #silentSinceMs = 0
  #lookAtMs = 0
  #pauseMs = FIRST_PAUSE_MS

  constructor(context: SilenceWatchContext) {
    this.#context = context
  }

  /** To be called when a statement may be under way. */
  wake(): void {
    if (this.#timer !== undefined) return
    this.#answers = -1
    this.#timer = this.#context.clock.setInterval(this.#tick, TICK_MS, { keepsAlive: false })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  readonly #tick = (): void => {
    const { clock, answers, isWaiting, look } = this.#context
    if (!isWaiting()) {
      this.stop()
      return
    }
    const nowMs = clock.monotonicMs()
    if (answers() !== this.#answers) {
      this.#answers = answers()
      this.#silentSinceMs = nowMs
      this.#lookAtMs = 0
      this.#pauseMs = FIRST_PAUSE_MS
      return
    }
    if (nowMs - this.#silentSinceMs < SILENT_MS || nowMs < this.#lookAtMs) return
    // A single long statement is silent too: the longer it lasts, the less it is asked after.
    this.#lookAtMs = nowMs + this.#pauseMs
    this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs)
    void look()
  }
}
