import type { ClaimedJob } from '../queue-engine.ts'

/** A job that runs here, and the ways to end it. */
export class RunningJob {
  readonly job: ClaimedJob
  /** Rejects once the run is given up: nobody waits for the task's code any more. */
  readonly givenUp: Promise<never>
  readonly #reject: (reason: Error) => void
  readonly #abort = new AbortController()
  #reason: Error | undefined

  constructor(job: ClaimedJob) {
    this.job = job
    const { promise, reject } = Promise.withResolvers<never>()
    // Most runs are not given up, and nobody need be waiting when one is.
    promise.catch(() => {})
    this.givenUp = promise
    this.#reject = reject
  }

  /** What the task's code is given. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Why the run was given up, if it was. */
  get reason(): Error | undefined {
    return this.#reason
  }

  /** Tells the task's code to end, and goes on waiting for it. */
  warn(reason: Error): void {
    this.#abort.abort(reason)
  }

  giveUp(reason: Error): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#abort.abort(reason)
    this.#reject(reason)
  }
}

/** Why a run was ended whose job another worker has, or will have. */
export const HANDED_BACK: Error = new Error('the job was handed to another worker')
