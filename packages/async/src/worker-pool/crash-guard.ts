import type { Clock } from '@dharma/core'
import { CrashLoopError } from './errors.ts'

/** When to stop replacing workers, and for how long. */
export interface CrashGuardOptions {
  readonly clock: Clock
  readonly pool: string
  readonly maxCrashes: number
  readonly pauseMs: number
  readonly maxPauseMs: number
}

/**
 * Counts crashes in a row that no task answers for. Too many make a crash loop: no worker starts
 * during a pause that doubles each time, then a single crash is enough for the next one.
 */
export class CrashGuard {
  readonly #options: CrashGuardOptions
  #crashes = 0
  #pauses = 0
  #untilMs = Number.NEGATIVE_INFINITY
  #last: unknown

  constructor(options: CrashGuardOptions) {
    this.#options = options
  }

  /** The error for callers during a pause; `undefined` if workers may start. */
  get error(): CrashLoopError | undefined {
    const waitMs = this.#untilMs - this.#options.clock.monotonicMs()
    if (!(waitMs > 0)) return undefined
    const options = this.#last === undefined ? {} : { cause: this.#last }
    return new CrashLoopError(this.#options.pool, this.#crashes, Math.ceil(waitMs), options)
  }

  /** The error if this crash makes it a loop, or is one more of it. */
  crashed(error: unknown): CrashLoopError | undefined {
    this.#crashes += 1
    this.#last = error
    if (this.#crashes < this.#options.maxCrashes) return undefined
    const { clock, pauseMs, maxPauseMs } = this.#options
    this.#untilMs = clock.monotonicMs() + Math.min(maxPauseMs, pauseMs * 2 ** this.#pauses)
    this.#pauses += 1
    return this.error
  }

  /** A worker has done its work. */
  worked(): void {
    this.#crashes = 0
    this.#pauses = 0
  }
}
