/** What a mapping function is told about its item or batch. */
export interface MapContext {
  /** Of the item, or of the batch's first item, in the order of the source; from 0. */
  readonly index: number
  /** Aborts when the run ends early: an item failed, or the caller's signal aborted. */
  readonly signal: AbortSignal
}

/** How far a run has come. */
export interface MapProgress {
  /** Items that ended, the failed ones included. */
  readonly done: number
  readonly failed: number
  /** Items in all; `undefined` while the source does not say. */
  readonly total: number | undefined
}

/** The end of one item where errors are collected: as of `Promise.allSettled`, with its index. */
export type MapOutcome<R> = PromiseSettledResult<R> & { readonly index: number }

/** What both forms of a run take. */
export interface MapOptions {
  /** Calls of `fn` in progress at once. At least 1. @default 16 */
  readonly concurrency?: number
  /** Whether results come in the order of the items, or as they are ready. @default true */
  readonly ordered?: boolean
  /** Told after each call of `fn`. What it throws ends the run. */
  readonly onProgress?: ((progress: MapProgress) => void) | undefined
  /** Ends the run at once: no item is begun any more, and it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** The first error ends the run and is what it rejects with. */
export interface ThrowingErrors {
  /** `throw`: the first error ends the run. `collect`: each item has an outcome. @default 'throw' */
  readonly errors?: 'throw'
}

/** Each item has an outcome, and none ends the run. */
export interface CollectedErrors {
  /** `throw`: the first error ends the run. `collect`: each item has an outcome. @default 'throw' */
  readonly errors: 'collect'
}

/** `fn` is called with one item. */
export interface SingleItems {
  readonly batchSize?: undefined
}

/** `fn` is called with many items and returns as many results, in their order. */
export interface BatchedItems {
  /** Items per call; the last call may get fewer. At least 1. */
  readonly batchSize: number
}

/** What the streaming form takes besides. */
export interface StreamBuffer {
  /**
   * Results that may wait for the reader while further calls are made: what lets an ordered stream
   * go on behind a slow item. In calls of `fn`. At least 0. @default `concurrency`
   */
  readonly bufferSize?: number
}

/** A sequence of unknown length; it is read only as fast as items can be begun. */
export type Items<T> = Iterable<T> | AsyncIterable<T>

/** Calls that the options allow, checked and with their defaults. */
export interface CheckedMapOptions {
  readonly concurrency: number
  readonly batchSize: number | undefined
  readonly ordered: boolean
  readonly isCollecting: boolean
  readonly bufferSize: number
  readonly onProgress: ((progress: MapProgress) => void) | undefined
  readonly signal: AbortSignal | undefined
}

/** @throws RangeError when an option is out of its range. */
export function checkMapOptions(
  options: MapOptions &
    StreamBuffer & { readonly errors?: string; readonly batchSize?: number | undefined },
): CheckedMapOptions {
  const { concurrency = 16, batchSize, bufferSize = concurrency, errors = 'throw' } = options
  checkCount('concurrency', concurrency, 1)
  checkCount('bufferSize', bufferSize, 0)
  if (batchSize !== undefined) checkCount('batchSize', batchSize, 1)
  if (errors !== 'throw' && errors !== 'collect') {
    throw new RangeError(`errors must be 'throw' or 'collect', got ${errors}`)
  }
  const { ordered = true, onProgress, signal } = options
  const isCollecting = errors === 'collect'
  return { concurrency, batchSize, ordered, isCollecting, bufferSize, onProgress, signal }
}

function checkCount(option: string, value: number, min: number): void {
  if (value >= min && (Number.isInteger(value) || value === Infinity)) return
  throw new RangeError(`${option} must be a whole number of at least ${min}, got ${value}`)
}
