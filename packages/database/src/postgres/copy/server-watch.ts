import { toError } from '@dharma/core'
import { PostgresTimeoutError } from '../errors.ts'
import type { CopyLine } from './copy-line.ts'

/**
 * Ends the waits of one COPY: when its signal aborts, when its stream fails, and, while it is the
 * server that is waited for, at the deadline. Has one timer at most, and one listener on the signal,
 * however many waits there are.
 */
export class ServerWatch implements Disposable {
  readonly #line: CopyLine
  readonly #signal: AbortSignal | undefined
  #reject: ((reason: Error) => void) | undefined
  #failure: Error | undefined
  readonly #onAbort = (): void => this.fail(toError(this.#signal?.reason))

  /** @throws RangeError for a `timeoutMs` that is not above 0, and the signal's reason if it has aborted */
  constructor(line: CopyLine) {
    const { timeoutMs, signal } = line
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    signal?.throwIfAborted()
    this.#line = line
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Makes the present wait, and every later one, end with `reason`. The first reason stays. */
  fail(reason: Error): void {
    this.#failure ??= reason
    this.#reject?.(this.#failure)
  }

  /** Throws what has ended the COPY, if something has. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Waits for the server, up to the deadline. @throws PostgresTimeoutError */
  async forServer<R>(answer: Promise<R>): Promise<R> {
    const { clock, timeoutMs } = this.#line
    const timer = clock.setTimeout(() => {
      this.fail(new PostgresTimeoutError('copy', timeoutMs))
    }, timeoutMs)
    try {
      return await this.forCaller(answer)
    } finally {
      timer.cancel()
    }
  }

  /** Waits for the caller's own source or reader, which may take as long as it likes. */
  forCaller<R>(step: PromiseLike<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure)
        return
      }
      this.#reject = reject
      step.then(resolve, reject)
    })
  }

  [Symbol.dispose](): void {
    this.#reject = undefined
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}
