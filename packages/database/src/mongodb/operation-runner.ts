import { ClosedError, TimeoutError, toError, type Clock, type Metrics } from '@dharma/core'
import type { ClientSession } from 'mongodb'
import {
  isCursorLost,
  isMaxTimeExpired,
  isSocketError,
  MongoCursorLostError,
  wrapMongoError,
} from './errors.ts'
import { MongoObservers } from './mongo-observer.ts'
import { OperationMetrics } from './operation-metrics.ts'
import { backoffMs } from './write-retry.ts'

/** One operation, as metrics, observers and deadlines see it. */
export interface Operation {
  readonly name: string
  readonly collection: string
  /** The filter or the pipeline. @default none */
  readonly query?: unknown
  /** @default false */
  readonly isWrite?: boolean
  readonly session?: ClientSession | undefined
  /** Whether the work may begin again where its connection broke. @default unless it writes */
  readonly mayRepeat?: boolean
  /** Infinity where the work has a deadline of its own. @default that of the runner */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface OperationRunnerOptions {
  readonly clock: Clock
  readonly metrics: Metrics | undefined
  readonly timeoutMs: number
}

/** Attempts at most where connections break under a message, which the driver does not send again. */
const MAX_ATTEMPTS = 5

/** Runs a manager's operations: each is measured, observed, ended at its deadline, and its error wrapped. */
export class OperationRunner {
  readonly observers: MongoObservers = new MongoObservers()
  readonly timeoutMs: number
  readonly clock: Clock
  readonly #metrics: OperationMetrics
  #isClosed = false

  constructor({ clock, metrics, timeoutMs }: OperationRunnerOptions) {
    this.clock = clock
    this.timeoutMs = timeoutMs
    this.#metrics = new OperationMetrics(metrics, clock)
  }

  close(): void {
    this.#isClosed = true
  }

  /** @throws ClosedError */
  checkOpen(): void {
    if (this.#isClosed) throw new ClosedError('MongoManager')
  }

  /**
   * @param countOf the documents that a result stands for
   * @throws TimeoutError at the deadline; what was sent to the server may still be carried out
   */
  async run<R>(
    operation: Operation,
    work: () => Promise<R>,
    countOf: (result: R) => number,
  ): Promise<R> {
    this.checkOpen()
    const startedMs = this.observers.isEmpty ? undefined : this.clock.monotonicMs()
    try {
      const result = await this.#metrics.time(operation.name, operation.collection, () => {
        return this.#bounded(operation, () => this.#repeated(operation, work))
      })
      await this.#tell(operation, startedMs, countOf(result), undefined)
      return result
    } catch (error) {
      const wrapped = this.#wrap(operation, error)
      await this.#tell(operation, startedMs, undefined, wrapped)
      throw wrapped
    }
  }

  /** As {@link run}, for documents that come one after the other; each wait for one is bounded. */
  async *stream<T>(operation: Operation, documents: AsyncIterator<T>): AsyncGenerator<T, void> {
    this.checkOpen()
    const startedMs = this.clock.monotonicMs()
    let count = 0
    let error: unknown
    try {
      for (;;) {
        const next = await this.#bounded(operation, () => documents.next())
        if (next.done === true) return
        count += 1
        yield next.value
      }
    } catch (thrown) {
      const wrapped = this.#wrap(operation, thrown)
      error = isCursorLost(wrapped)
        ? new MongoCursorLostError(operation.collection, count, { cause: thrown })
        : wrapped
      throw error
    } finally {
      // Not awaited: where the server hangs, so does the end of its cursor.
      void documents.return?.().catch(() => undefined)
      this.#metrics.record(operation.name, operation.collection, startedMs, error !== undefined)
      await this.#tell(operation, startedMs, error === undefined ? count : undefined, error)
    }
  }

  #wrap({ name, collection, timeoutMs = this.timeoutMs }: Operation, error: unknown): unknown {
    const wrapped = wrapMongoError(collection, error)
    if (!isMaxTimeExpired(wrapped)) return wrapped
    return new TimeoutError(`${name} on ${collection}`, timeoutMs, { cause: error })
  }

  #tell(
    { name, collection, query, isWrite = false, session }: Operation,
    startedMs: number | undefined,
    documentCount: number | undefined,
    error: unknown,
  ): Promise<unknown> | undefined {
    if (startedMs === undefined) return undefined
    const elapsedMs = this.clock.monotonicMs() - startedMs
    const what = { operation: name, collection, query, isWrite, session }
    return this.observers.tell({ ...what, elapsedMs, documentCount, error })
  }

  /**
   * Again where the driver does not by itself: the pool may hold several connections that broke at
   * the same time. A transaction is repeated as a whole, by its owner.
   */
  async #repeated<R>(
    { session, isWrite = false, mayRepeat = !isWrite }: Operation,
    work: () => Promise<R>,
  ): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const isOver = session !== undefined || !mayRepeat || attempt >= MAX_ATTEMPTS
        if (isOver || !isSocketError(error)) throw error
      }
      await this.clock.sleep(backoffMs(attempt))
    }
  }

  #bounded<R>(
    { name, collection, timeoutMs = this.timeoutMs, signal }: Operation,
    work: () => Promise<R>,
  ): Promise<R> {
    if (timeoutMs === Infinity && signal === undefined) return work()
    return new Promise<R>((resolve, reject) => {
      signal?.throwIfAborted()
      const settle = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        settle()
        reject(toError(signal?.reason))
      }
      const onDeadline = (): void => {
        settle()
        reject(new TimeoutError(`${name} on ${collection}`, timeoutMs))
      }
      const timer =
        timeoutMs === Infinity ? undefined : this.clock.setTimeout(onDeadline, timeoutMs)
      signal?.addEventListener('abort', onAbort, { once: true })
      work().finally(settle).then(resolve, reject)
    })
  }
}
