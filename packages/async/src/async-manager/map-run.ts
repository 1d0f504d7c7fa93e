import { isPromiseLike } from '../resilience/with-timeout.ts'
import { inBatches, openSource, type ItemSource, type Pulled } from './item-source.ts'
import type { CheckedMapOptions, Items, MapContext, MapOutcome } from './map-options.ts'

/** Calls the caller's function with one batch; of length 1 unless batches are wanted. */
export type BatchCall<T> = (batch: readonly T[], context: MapContext) => unknown

/** Where the results of a run go. */
export interface MapSink {
  /** Whether another batch may be begun, or results wait for their reader. */
  hasRoom(batchesBegun: number): boolean
  /** Results of one batch, batches numbered from 0: values, or outcomes where errors are collected. */
  settled(batch: number, firstIndex: number, results: readonly unknown[]): void
  /** Nothing comes after this. */
  ended(): void
  /** Nothing comes after this. */
  failed(reason: unknown): void
}

type State = 'reading' | 'finishing' | 'over'

/**
 * Takes items from a source while there are free slots and room for results, and gives the results
 * to a sink. What is still in progress when the run fails is aborted and its result dropped.
 */
export class MapRun<T> {
  readonly #source: ItemSource<readonly T[]>
  readonly #call: BatchCall<T>
  readonly #options: CheckedMapOptions
  readonly #sink: MapSink
  readonly #controller = new AbortController()
  #state: State = 'reading'
  #isPulling = false
  #isPumping = false
  #inProgress = 0
  #batches = 0
  #begun = 0
  #done = 0
  #failed = 0

  constructor(items: Items<T>, call: BatchCall<T>, options: CheckedMapOptions, sink: MapSink) {
    options.signal?.throwIfAborted()
    this.#source = inBatches(openSource(items), options.batchSize ?? 1)
    this.#call = call
    this.#options = options
    this.#sink = sink
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Begins as much as may be; called again when the sink has room. */
  pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#mayBegin()) this.#pull()
    this.#isPumping = false
    if (this.#state === 'finishing' && this.#inProgress === 0) {
      this.#leave()
      this.#sink.ended()
    }
  }

  /** Ends the run: nothing is begun any more, what is in progress is aborted. */
  stop(reason: unknown): void {
    this.#fail(reason, true)
  }

  readonly #onAbort = (): void => this.#fail(this.#options.signal?.reason, true)

  #mayBegin(): boolean {
    const hasSlot = this.#inProgress < this.#options.concurrency
    return (
      this.#state === 'reading' && !this.#isPulling && hasSlot && this.#sink.hasRoom(this.#batches)
    )
  }

  #pull(): void {
    try {
      const pulled = this.#source.pull()
      if (!(pulled instanceof Promise)) {
        this.#onPulled(pulled)
        return
      }
      this.#isPulling = true
      pulled.then(
        (batch) => this.#onArrived(batch),
        (error: unknown) => this.#fail(error, false),
      )
    } catch (error) {
      this.#fail(error, false)
    }
  }

  #onArrived(pulled: Pulled<readonly T[]>): void {
    this.#isPulling = false
    this.#onPulled(pulled)
    this.pump()
  }

  #onPulled(pulled: Pulled<readonly T[]>): void {
    if (this.#state !== 'reading') return
    if (pulled.done === true) this.#state = 'finishing'
    else this.#begin(pulled.value)
  }

  #begin(items: readonly T[]): void {
    const batch = this.#batches
    const index = this.#begun
    this.#batches += 1
    this.#begun += items.length
    this.#inProgress += 1
    const onError = (error: unknown): void => this.#onRejected(batch, index, items.length, error)
    try {
      const result = this.#call(items, { index, signal: this.#controller.signal })
      if (isPromiseLike(result)) {
        result.then((value) => this.#onFulfilled(batch, index, items.length, value), onError)
      } else {
        this.#onFulfilled(batch, index, items.length, result)
      }
    } catch (error) {
      onError(error)
    }
  }

  #onFulfilled(batch: number, index: number, count: number, result: unknown): void {
    if (this.#state === 'over') return
    const values: unknown = this.#options.batchSize === undefined ? [result] : result
    if (!Array.isArray(values) || values.length !== count) {
      const got = Array.isArray(values) ? `${values.length} results` : typeof values
      const error = new TypeError(`fn must return ${count} results for ${count} items, got ${got}`)
      this.#onRejected(batch, index, count, error)
      return
    }
    const { isCollecting } = this.#options
    this.#settle(batch, index, isCollecting ? fulfilledOutcomes(index, values) : values)
  }

  #onRejected(batch: number, index: number, count: number, error: unknown): void {
    if (this.#state === 'over') return
    if (!this.#options.isCollecting) {
      this.#fail(error, true)
      return
    }
    this.#failed += count
    this.#settle(batch, index, rejectedOutcomes(index, count, error))
  }

  #settle(batch: number, index: number, results: readonly unknown[]): void {
    this.#inProgress -= 1
    this.#done += results.length
    this.#sink.settled(batch, index, results)
    try {
      this.#options.onProgress?.({
        done: this.#done,
        failed: this.#failed,
        total: this.#source.total,
      })
    } catch (error) {
      this.#fail(error, true)
      return
    }
    this.pump()
  }

  #fail(reason: unknown, isSourceOpen: boolean): void {
    if (this.#state === 'over') return
    const hasMore = this.#state === 'reading'
    this.#leave()
    if (isSourceOpen && hasMore) this.#source.close()
    this.#sink.failed(reason)
    this.#controller.abort(reason)
  }

  #leave(): void {
    this.#state = 'over'
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
  }
}

function fulfilledOutcomes(firstIndex: number, values: readonly unknown[]): MapOutcome<unknown>[] {
  return values.map((value, offset) => ({ status: 'fulfilled', value, index: firstIndex + offset }))
}

function rejectedOutcomes(firstIndex: number, count: number, reason: unknown): MapOutcome<never>[] {
  return Array.from({ length: count }, (_, offset) => {
    return { status: 'rejected', reason, index: firstIndex + offset }
  })
}
