import type { CopyRow } from './row-encoder.ts'

/** Rows from any source, read once. */
export type CopyRows = Iterable<CopyRow> | AsyncIterable<CopyRow>

/** A source whose first row is known, and still to be read. */
export interface RowSource {
  readonly isEmpty: boolean
  readonly first: unknown
  readonly rows: Iterator<CopyRow> | undefined
  readonly asyncRows: AsyncIterator<CopyRow> | undefined
}

/** Looks at the first row without losing it. `wait` is told of each wait for the source. */
export async function openRowSource(
  rows: CopyRows,
  wait: <R>(step: PromiseLike<R>) => Promise<R>,
): Promise<RowSource> {
  if (Symbol.asyncIterator in rows) {
    const asyncRows = rows[Symbol.asyncIterator]()
    const first = await wait(asyncRows.next())
    return {
      isEmpty: first.done === true,
      first: first.value,
      rows: undefined,
      asyncRows: withFirst(asyncRows, Promise.resolve(first)),
    }
  }
  const iterator = rows[Symbol.iterator]()
  const first = iterator.next()
  return {
    isEmpty: first.done === true,
    first: first.value,
    rows: withFirst(iterator, first),
    asyncRows: undefined,
  }
}

/** The iterator with a result put back in front. */
function withFirst<Result>(
  rest: { next(): Result; return?: () => unknown },
  first: Result,
): { next(): Result; return(): Result } {
  let isFirst = true
  return {
    next() {
      if (!isFirst) return rest.next()
      isFirst = false
      return first
    },
    return() {
      return rest.return?.() as Result
    },
  }
}
