import type { Items } from './map-options.ts'

/** What a source gives when asked: an item, or its end. */
export type Pulled<T> = IteratorResult<T, unknown>

/** One way to read sync and async iterables, item by item or in batches. */
export interface ItemSource<T> {
  /** Items in all, where the iterable says. */
  readonly total: number | undefined
  /** The next item; a promise only where the iterable makes one. Asked again only when it has answered. */
  pull(): Pulled<T> | Promise<Pulled<T>>
  /** Tells the iterable that no more is read. Does not wait: its `next` may be hanging. */
  close(): void
}

/** @throws TypeError when `items` is not iterable. */
export function openSource<T>(items: Items<T>): ItemSource<T> {
  if (isAsyncIterable(items)) {
    const iterator = items[Symbol.asyncIterator]()
    return {
      total: undefined,
      pull: () => Promise.resolve(iterator.next()),
      close: () => void closeQuietly(() => iterator.return?.()),
    }
  }
  if (typeof (items as Partial<Iterable<T>> | undefined)?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`items must be iterable or async iterable, got ${typeof items}`)
  }
  const iterator = items[Symbol.iterator]()
  return {
    total: knownSize(items),
    pull: () => iterator.next(),
    close: () => void closeQuietly(() => iterator.return?.()),
  }
}

/** The same items, up to `size` at a time. */
export function inBatches<T>(source: ItemSource<T>, size: number): ItemSource<readonly T[]> {
  return new BatchSource(source, size)
}

class BatchSource<T> implements ItemSource<readonly T[]> {
  readonly total: number | undefined
  readonly #source: ItemSource<T>
  readonly #size: number
  #hasEnded = false

  constructor(source: ItemSource<T>, size: number) {
    this.total = source.total
    this.#source = source
    this.#size = size
  }

  pull(): Pulled<readonly T[]> | Promise<Pulled<readonly T[]>> {
    const batch: T[] = []
    while (!this.#isComplete(batch)) {
      const pulled = this.#source.pull()
      if (pulled instanceof Promise) return this.#fillLater(batch, pulled)
      this.#add(batch, pulled)
    }
    return asPulled(batch)
  }

  close(): void {
    this.#source.close()
  }

  async #fillLater(batch: T[], first: Promise<Pulled<T>>): Promise<Pulled<readonly T[]>> {
    this.#add(batch, await first)
    while (!this.#isComplete(batch)) this.#add(batch, await this.#source.pull())
    return asPulled(batch)
  }

  #isComplete(batch: readonly T[]): boolean {
    return this.#hasEnded || batch.length === this.#size
  }

  #add(batch: T[], pulled: Pulled<T>): void {
    if (pulled.done === true) this.#hasEnded = true
    else batch.push(pulled.value)
  }
}

function asPulled<T>(batch: readonly T[]): Pulled<readonly T[]> {
  return batch.length > 0 ? { done: false, value: batch } : { done: true, value: undefined }
}

function isAsyncIterable<T>(items: Items<T>): items is AsyncIterable<T> {
  return (
    typeof (items as Partial<AsyncIterable<T>> | undefined)?.[Symbol.asyncIterator] === 'function'
  )
}

function knownSize(items: Iterable<unknown>): number | undefined {
  if (Array.isArray(items)) return items.length
  return items instanceof Set || items instanceof Map ? items.size : undefined
}

/**
 * As where a `for` loop is left by an error: that error is what the caller gets, and one of the
 * iterator's own clean-up is dropped.
 */
async function closeQuietly(close: () => unknown): Promise<void> {
  try {
    await close()
  } catch {
    // See above.
  }
}
