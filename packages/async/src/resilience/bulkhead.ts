import { DharmaError } from '@dharma/core'

/** Options of {@link Bulkhead}. */
export interface BulkheadOptions {
  /** What errors and metrics call it. @default 'bulkhead' */
  readonly name?: string
  /** Calls in progress at once. At least 1. */
  readonly limit: number
  /** Calls that may wait for a slot, first come first served. At least 0. @default 0 */
  readonly queueLimit?: number
}

/** All slots and all places in the queue are taken: the call was not made. */
export class BulkheadFullError extends DharmaError {
  override readonly name = 'BulkheadFullError'
  readonly code = 'DHARMA_BULKHEAD_FULL'
  readonly bulkhead: string
  readonly limit: number
  readonly queueLimit: number

  constructor(bulkhead: string, limit: number, queueLimit: number, options?: ErrorOptions) {
    super(`${bulkhead} is full: ${limit} in progress, ${queueLimit} waiting`, options)
    this.bulkhead = bulkhead
    this.limit = limit
    this.queueLimit = queueLimit
  }
}

/** A fixed number of calls at once, so that one slow service cannot take all of a process. */
export class Bulkhead {
  readonly #name: string
  readonly #limit: number
  readonly #queueLimit: number
  /** In order of arrival; each takes over a slot that was given back. */
  readonly #waiting = new Set<() => void>()
  #inProgress = 0

  /** @throws RangeError when an option is out of its range. */
  constructor({ name = 'bulkhead', limit, queueLimit = 0 }: BulkheadOptions) {
    if (!(limit >= 1) || (!Number.isInteger(limit) && limit !== Infinity)) {
      throw new RangeError(`limit must be a whole number of at least 1, got ${limit}`)
    }
    if (!(queueLimit >= 0) || (!Number.isInteger(queueLimit) && queueLimit !== Infinity)) {
      throw new RangeError(`queueLimit must be a whole number of at least 0, got ${queueLimit}`)
    }
    this.#name = name
    this.#limit = limit
    this.#queueLimit = queueLimit
  }

  get inProgress(): number {
    return this.#inProgress
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Calls `fn` when there is a slot for it.
   *
   * @throws BulkheadFullError when there is neither a slot nor a place in the queue; the signal's
   * reason when it aborts while the call waits.
   */
  async execute<T>(fn: () => T | PromiseLike<T>, signal?: AbortSignal): Promise<T> {
    const wait = this.enter(signal)
    if (wait !== undefined) await wait
    try {
      return await fn()
    } finally {
      this.leave()
    }
  }

  /**
   * For compositions: takes a slot at once, or returns what to wait for. Then `leave` is due.
   *
   * @throws BulkheadFullError when the queue is full.
   */
  enter(signal?: AbortSignal): Promise<void> | undefined {
    signal?.throwIfAborted()
    if (this.#inProgress < this.#limit) {
      this.#inProgress += 1
      return undefined
    }
    if (this.#waiting.size >= this.#queueLimit) {
      throw new BulkheadFullError(this.#name, this.#limit, this.#queueLimit)
    }
    return this.#wait(signal)
  }

  /** Gives the slot to who waits longest. */
  leave(): void {
    for (const takeOver of this.#waiting) {
      this.#waiting.delete(takeOver)
      takeOver()
      return
    }
    this.#inProgress -= 1
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const takeOver = (): void => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = (): void => {
        this.#waiting.delete(takeOver)
        reject(signal?.reason)
      }
      this.#waiting.add(takeOver)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}
