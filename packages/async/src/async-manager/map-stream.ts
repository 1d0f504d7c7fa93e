import { batchCallOf, type AnyMapFunction, type AnyMapOptions } from './map-batch.ts'
import type { BatchFunction, ItemFunction } from './map-batch.ts'
import {
  checkMapOptions,
  type BatchedItems,
  type CheckedMapOptions,
  type CollectedErrors,
  type Items,
  type MapOptions,
  type MapOutcome,
  type SingleItems,
  type StreamBuffer,
  type ThrowingErrors,
} from './map-options.ts'
import { MapRun, type BatchCall, type MapSink } from './map-run.ts'

/** The results of a run, to be read once. */
export type ResultStream<R> = AsyncGenerator<R, void, undefined>

/** The forms of {@link mapStream}. */
export interface MapStream {
  <T, R>(
    items: Items<T>,
    fn: ItemFunction<T, R>,
    options?: MapOptions & StreamBuffer & SingleItems & ThrowingErrors,
  ): ResultStream<R>
  <T, R>(
    items: Items<T>,
    fn: ItemFunction<T, R>,
    options: MapOptions & StreamBuffer & SingleItems & CollectedErrors,
  ): ResultStream<MapOutcome<R>>
  <T, R>(
    items: Items<T>,
    fn: BatchFunction<T, R>,
    options: MapOptions & StreamBuffer & BatchedItems & ThrowingErrors,
  ): ResultStream<R>
  <T, R>(
    items: Items<T>,
    fn: BatchFunction<T, R>,
    options: MapOptions & StreamBuffer & BatchedItems & CollectedErrors,
  ): ResultStream<MapOutcome<R>>
}

/**
 * `mapBatch` as a stream: nothing is begun before the first result is asked for, and no more than
 * `concurrency + bufferSize` calls are ahead of the reader. Leaving the loop ends the run. An error
 * is thrown as soon as it is known, before results that were not read yet.
 *
 * @throws RangeError when an option is out of its range.
 */
export const mapStream: MapStream = <T>(
  items: Items<T>,
  fn: AnyMapFunction<T>,
  options: AnyMapOptions = {},
): ResultStream<never> => {
  const checked = checkMapOptions(options)
  return readResults(items, batchCallOf(fn, checked), checked)
}

async function* readResults<T>(
  items: Items<T>,
  call: BatchCall<T>,
  options: CheckedMapOptions,
): ResultStream<never> {
  const buffer = new ResultBuffer(options)
  const run = new MapRun(items, call, options, buffer)
  try {
    run.pump()
    for (;;) {
      const results = buffer.take()
      if (results === 'over') return
      if (results === 'not ready') {
        await buffer.changed()
        continue
      }
      run.pump()
      for (const result of results) yield result as never
    }
  } finally {
    run.stop(new DOMException('the results are no longer read', 'AbortError'))
  }
}

/** Results between the run and the one reader. */
class ResultBuffer implements MapSink {
  readonly #ordered: boolean
  readonly #room: number
  /** By batch if ordered, else by arrival. */
  readonly #ready = new Map<number, readonly unknown[]>()
  #arrived = 0
  #taken = 0
  #end: 'open' | 'ended' | { readonly reason: unknown } = 'open'
  #wake: (() => void) | undefined

  constructor({ ordered, concurrency, bufferSize }: CheckedMapOptions) {
    this.#ordered = ordered
    this.#room = concurrency + bufferSize
  }

  hasRoom(batchesBegun: number): boolean {
    return batchesBegun - this.#taken < this.#room
  }

  settled(batch: number, _firstIndex: number, results: readonly unknown[]): void {
    this.#ready.set(this.#ordered ? batch : this.#arrived, results)
    this.#arrived += 1
    this.#wake?.()
  }

  ended(): void {
    this.#end = 'ended'
    this.#wake?.()
  }

  failed(reason: unknown): void {
    this.#end = { reason }
    this.#wake?.()
  }

  /** The next batch's results. Throws what the run failed with. */
  take(): readonly unknown[] | 'not ready' | 'over' {
    if (typeof this.#end === 'object') throw this.#end.reason
    const results = this.#ready.get(this.#taken)
    if (results === undefined) return this.#end === 'ended' ? 'over' : 'not ready'
    this.#ready.delete(this.#taken)
    this.#taken += 1
    return results
  }

  /** Resolves when there may be more to take. For one reader at a time. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
