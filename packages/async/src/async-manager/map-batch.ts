import {
  checkMapOptions,
  type BatchedItems,
  type CheckedMapOptions,
  type CollectedErrors,
  type Items,
  type MapContext,
  type MapOptions,
  type MapOutcome,
  type SingleItems,
  type StreamBuffer,
  type ThrowingErrors,
} from './map-options.ts'
import { MapRun, type BatchCall, type MapSink } from './map-run.ts'

/** Called with one item. */
export type ItemFunction<T, R> = (item: T, context: MapContext) => R | PromiseLike<R>

/** Called with up to `batchSize` items; returns as many results, in their order. */
export type BatchFunction<T, R> = (
  items: readonly T[],
  context: MapContext,
) => readonly R[] | PromiseLike<readonly R[]>

/** The forms of {@link mapBatch}. */
export interface MapBatch {
  <T, R>(
    items: Items<T>,
    fn: ItemFunction<T, R>,
    options?: MapOptions & SingleItems & ThrowingErrors,
  ): Promise<R[]>
  <T, R>(
    items: Items<T>,
    fn: ItemFunction<T, R>,
    options: MapOptions & SingleItems & CollectedErrors,
  ): Promise<MapOutcome<R>[]>
  <T, R>(
    items: Items<T>,
    fn: BatchFunction<T, R>,
    options: MapOptions & BatchedItems & ThrowingErrors,
  ): Promise<R[]>
  <T, R>(
    items: Items<T>,
    fn: BatchFunction<T, R>,
    options: MapOptions & BatchedItems & CollectedErrors,
  ): Promise<MapOutcome<R>[]>
}

/** What {@link checkMapOptions} takes of either form. */
export type AnyMapOptions = MapOptions &
  StreamBuffer & { readonly errors?: 'throw' | 'collect'; readonly batchSize?: number | undefined }

/**
 * Calls `fn` for every item, `concurrency` at once, and resolves with the results: in the order of
 * the items, or as they came. Only results are kept, so that memory does not grow with the source.
 * With `batchSize`, `fn` gets that many items at a time. A source, a signal or an `onProgress` that
 * fails always ends the run; a source that is left early is closed, but not waited for.
 *
 * @throws the first error of `fn`, unless errors are collected; the signal's reason at once when it
 * aborts, whether or not what is in progress obeys it.
 * @throws RangeError when an option is out of its range.
 */
export const mapBatch: MapBatch = <T>(
  items: Items<T>,
  fn: AnyMapFunction<T>,
  options: AnyMapOptions = {},
): Promise<never[]> => {
  const checked = checkMapOptions(options)
  return new Promise((resolve, reject) => {
    const sink = new ArraySink(checked.ordered, resolve, reject)
    const run = new MapRun(items, batchCallOf(fn, checked), checked, sink)
    run.pump()
  })
}

/** A function of either form. */
export type AnyMapFunction<T> =
  | ((item: T, context: MapContext) => unknown)
  | ((items: readonly T[], context: MapContext) => unknown)

/** A function of either form as one over batches. */
export function batchCallOf<T>(
  fn: AnyMapFunction<T>,
  { batchSize }: CheckedMapOptions,
): BatchCall<T> {
  if (batchSize !== undefined) return fn as BatchCall<T>
  const single = fn as (item: T, context: MapContext) => unknown
  return (batch, context) => single(batch[0] as T, context)
}

/** Keeps results, or outcomes, until the run is over. */
class ArraySink implements MapSink {
  readonly #results: unknown[] = []
  readonly #ordered: boolean
  readonly #resolve: (results: never[]) => void
  readonly #reject: (reason: unknown) => void

  constructor(
    ordered: boolean,
    resolve: (results: never[]) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#ordered = ordered
    this.#resolve = resolve
    this.#reject = reject
  }

  hasRoom(): boolean {
    return true
  }

  settled(_batch: number, firstIndex: number, results: readonly unknown[]): void {
    if (this.#ordered) {
      for (let i = 0; i < results.length; i += 1) this.#results[firstIndex + i] = results[i]
    } else {
      for (const result of results) this.#results.push(result)
    }
  }

  ended(): void {
    this.#resolve(this.#results as never[])
  }

  failed(reason: unknown): void {
    this.#reject(reason)
  }
}
