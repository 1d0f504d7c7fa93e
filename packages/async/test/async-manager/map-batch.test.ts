import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { mapBatch, mapStream, type MapOutcome, type MapProgress } from '@dharma/async/async-manager'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { gates } from './gates.ts'
import { rejectionOf } from '../resilience/rejection-of.ts'

const double = async (item: number): Promise<number> => item * 2

async function* countTo(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i += 1) {
    await setImmediate()
    yield i
  }
}

describe('mapBatch', () => {
  test('results come in the order of the items', async () => {
    const { fn, open } = gates()
    const results = mapBatch([1, 2, 3], fn, { concurrency: 3 })
    for (const item of [3, 1, 2]) await open(item)
    expect(await results).toEqual([2, 4, 6])
  })

  test('results come as they are ready if not ordered', async () => {
    const { fn, open } = gates()
    const results = mapBatch([1, 2, 3], fn, { concurrency: 3, ordered: false })
    for (const item of [3, 1, 2]) await open(item)
    expect(await results).toEqual([6, 2, 4])
  })

  test('no more calls than the concurrency are in progress', async () => {
    const { fn, begun, open } = gates()
    const results = mapBatch([1, 2, 3], fn, { concurrency: 2 })
    expect(begun).toEqual([1, 2])
    await open(2)
    expect(begun).toEqual([1, 2, 3])
    await open(1)
    await open(3)
    await results
  })

  test('an async source, a set, a generator and an empty array are read to their end', async () => {
    expect(await mapBatch(countTo(5), double, { concurrency: 2 })).toEqual([0, 2, 4, 6, 8])
    expect(await mapBatch(new Set([1, 2]), double)).toEqual([2, 4])
    const generator = (function* generate() {
      yield 1
      yield 2
    })()
    expect(await mapBatch(generator, double)).toEqual([2, 4])
    expect(await mapBatch([], double)).toEqual([])
    expect(await mapBatch(countTo(0), double)).toEqual([])
  })

  test('a function that returns no promise works too', async () => {
    expect(await mapBatch([1, 2], (item) => item + 1)).toEqual([2, 3])
  })

  test('the first error ends the run, aborts what is in progress and begins nothing more', async () => {
    const { fn, begun, signals, fail, open } = gates()
    const results = mapBatch([1, 2, 3, 4], fn, { concurrency: 2 })
    const error = new Error('second')
    const failed = rejectionOf(results)
    await fail(2, error)
    expect(await failed).toBe(error)
    expect(signals[0]?.aborted).toBe(true)
    expect(signals[0]?.reason).toBe(error)
    await open(1)
    expect(begun).toEqual([1, 2])
  })

  test('a later error of a run that failed is not an unhandled rejection', async () => {
    const { fn, fail } = gates()
    const results = mapBatch([1, 2], fn, { concurrency: 2 })
    const failed = rejectionOf(results)
    await fail(1, new Error('one'))
    expect(await failed).toMatchObject({ message: 'one' })
    await fail(2, new Error('two'))
  })

  test('a function that throws at once fails the run', async () => {
    const results = mapBatch([1], () => {
      throw new Error('at once')
    })
    await expect(results).rejects.toThrow('at once')
  })

  test('collected errors leave the other items alone', async () => {
    const results = await mapBatch(
      [1, 2, 3],
      async (item) => {
        if (item === 2) throw new Error('two')
        return item
      },
      { errors: 'collect' },
    )
    expect(results).toEqual([
      { status: 'fulfilled', value: 1, index: 0 },
      { status: 'rejected', reason: new Error('two'), index: 1 },
      { status: 'fulfilled', value: 3, index: 2 },
    ])
  })

  test('a batch size gives the function many items and takes many results', async () => {
    const batches: (readonly number[])[] = []
    const indexes: number[] = []
    const results = await mapBatch(
      countTo(7),
      (items, { index }) => {
        batches.push(items)
        indexes.push(index)
        return items.map((item) => item * 2)
      },
      { batchSize: 3 },
    )
    expect(results).toEqual([0, 2, 4, 6, 8, 10, 12])
    expect(batches).toEqual([[0, 1, 2], [3, 4, 5], [6]])
    expect(indexes).toEqual([0, 3, 6])
  })

  test('a failed batch fails each of its items', async () => {
    const results = await mapBatch(
      [1, 2, 3],
      async (items) => {
        if (items.includes(1)) throw new Error('one')
        return items
      },
      { batchSize: 2, errors: 'collect', ordered: false },
    )
    const byIndex = results.toSorted((a, b) => a.index - b.index)
    expect(byIndex.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  })

  test('a batch function with the wrong number of results is an error', async () => {
    await expect(mapBatch([1, 2], () => [1], { batchSize: 2 })).rejects.toThrow(
      'fn must return 2 results for 2 items, got 1 results',
    )
    const none = (() => 'none') as unknown as () => number[]
    await expect(mapBatch([1, 2], none, { batchSize: 2 })).rejects.toThrow('got string')
  })

  test('abort rejects at once though a call ignores it, and begins nothing more', async () => {
    const { fn, begun, open } = gates()
    const controller = new AbortController()
    const results = mapBatch([1, 2, 3], fn, { concurrency: 2, signal: controller.signal })
    const reason = new Error('stop')
    controller.abort(reason)
    await expect(results).rejects.toBe(reason)
    await open(1)
    expect(begun).toEqual([1, 2])
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  test('a signal that has aborted already keeps the source unopened', async () => {
    const source = { [Symbol.iterator]: vi.fn<() => Iterator<number>>() }
    const signal = AbortSignal.abort(new Error('before'))
    await expect(mapBatch(source, double, { signal })).rejects.toThrow('before')
    expect(source[Symbol.iterator]).not.toHaveBeenCalled()
  })

  test('a signal outlives many runs without keeping listeners', async () => {
    const { signal } = new AbortController()
    for (let i = 0; i < 20; i += 1) await mapBatch([1, 2, 3], double, { signal })
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('a source that throws fails the run, collected errors or not', async () => {
    const broken = (function* generate(): Generator<number> {
      yield 1
      throw new Error('source')
    })()
    await expect(mapBatch(broken, double, { errors: 'collect' })).rejects.toThrow('source')
    const brokenLater = (async function* generate(): AsyncGenerator<number> {
      yield 1
      throw new Error('later')
    })()
    await expect(mapBatch(brokenLater, double, { errors: 'collect' })).rejects.toThrow('later')
  })

  test('a source that is left early is closed, and what its clean-up throws is dropped', async () => {
    let wasClosed = false
    const source = (async function* generate(): AsyncGenerator<number> {
      try {
        for (;;) yield 1
      } finally {
        wasClosed = true
        await Promise.reject(new Error('clean-up'))
      }
    })()
    const fail = async (): Promise<never> => {
      throw new Error('first')
    }
    await expect(mapBatch(source, fail, { concurrency: 1 })).rejects.toThrow('first')
    await setImmediate()
    expect(wasClosed).toBe(true)
  })

  test('a source whose next hangs does not keep an aborted run', async () => {
    const hanging: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.withResolvers<never>().promise }),
    }
    const controller = new AbortController()
    const results = mapBatch(hanging, double, { signal: controller.signal })
    controller.abort(new Error('stop'))
    await expect(results).rejects.toThrow('stop')
  })

  test('an item that arrives after the run failed is not begun', async () => {
    const next = Promise.withResolvers<IteratorResult<number>>()
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({ next: () => next.promise }),
    }
    const controller = new AbortController()
    const fn = vi.fn<(item: number) => number>()
    const results = mapBatch(source, fn, { signal: controller.signal })
    controller.abort(new Error('stop'))
    await expect(results).rejects.toThrow('stop')
    next.resolve({ done: false, value: 1 })
    await setImmediate()
    expect(fn).not.toHaveBeenCalled()
  })

  test('progress counts items, with the total where the source has one', async () => {
    const seen: MapProgress[] = []
    const onProgress = (progress: MapProgress): void => void seen.push(progress)
    const fn = async (item: number): Promise<number> => {
      if (item === 1) throw new Error('one')
      return item
    }
    await mapBatch([0, 1], fn, { concurrency: 1, errors: 'collect', onProgress })
    expect(seen).toEqual([
      { done: 1, failed: 0, total: 2 },
      { done: 2, failed: 1, total: 2 },
    ])
    seen.length = 0
    await mapBatch(countTo(1), double, { onProgress })
    expect(seen).toEqual([{ done: 1, failed: 0, total: undefined }])
  })

  test('a progress callback that throws ends the run', async () => {
    const onProgress = (): void => {
      throw new Error('progress')
    }
    await expect(mapBatch([1, 2], double, { onProgress })).rejects.toThrow('progress')
  })

  test('wrong options name option, limit and value', () => {
    expect(() => mapBatch([], double, { concurrency: 0 })).toThrow(
      new RangeError('concurrency must be a whole number of at least 1, got 0'),
    )
    expect(() => mapBatch([], (items) => items, { batchSize: 1.5 })).toThrow(
      new RangeError('batchSize must be a whole number of at least 1, got 1.5'),
    )
    expect(() => mapStream([], double, { bufferSize: -1 })).toThrow(
      new RangeError('bufferSize must be a whole number of at least 0, got -1'),
    )
    const errors = 'ignore' as 'collect'
    expect(() => mapBatch([], double, { errors })).toThrow(
      new RangeError("errors must be 'throw' or 'collect', got ignore"),
    )
  })

  test('what is not iterable is a TypeError', async () => {
    const items = 7 as unknown as number[]
    await expect(mapBatch(items, double)).rejects.toThrow(TypeError)
    await expect(mapBatch(undefined as unknown as number[], double)).rejects.toThrow(TypeError)
  })

  test('the result type follows the options', () => {
    expectTypeOf(mapBatch([1], double)).resolves.toEqualTypeOf<number[]>()
    expectTypeOf(mapBatch([1], String, { errors: 'collect' })).resolves.toEqualTypeOf<
      MapOutcome<string>[]
    >()
    expectTypeOf(mapBatch([1], (items) => items.map(String), { batchSize: 2 }))
      .resolves //
      .toEqualTypeOf<string[]>()
    expectTypeOf(mapStream([1], double)).toEqualTypeOf<AsyncGenerator<number, void, undefined>>()
  })
})
