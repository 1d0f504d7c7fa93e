import { setImmediate } from 'node:timers/promises'
import { mapStream } from '@dharma/async/async-manager'
import { describe, expect, test, vi } from 'vitest'
import { rejectionOf } from '../resilience/rejection-of.ts'
import { gates } from './gates.ts'

const double = async (item: number): Promise<number> => item * 2

describe('mapStream', () => {
  test('results are read in order while later ones wait', async () => {
    const { fn, open } = gates()
    const stream = mapStream([1, 2], fn, { concurrency: 2 })
    const first = stream.next()
    await open(2)
    await open(1)
    expect(await first).toEqual({ done: false, value: 2 })
    expect(await stream.next()).toEqual({ done: false, value: 4 })
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  test('results are read as they come if not ordered', async () => {
    const { fn, open } = gates()
    const stream = mapStream([1, 2], fn, { concurrency: 2, ordered: false })
    const first = stream.next()
    await open(2)
    expect(await first).toEqual({ done: false, value: 4 })
    await open(1)
    expect(await stream.next()).toEqual({ done: false, value: 2 })
  })

  test('nothing is begun before the first read', async () => {
    const fn = vi.fn<typeof double>(double)
    const stream = mapStream([1], fn)
    await setImmediate()
    expect(fn).not.toHaveBeenCalled()
    expect(await Array.fromAsync(stream)).toEqual([2])
  })

  test('a slow reader holds the source back', async () => {
    let pulled = 0
    const endless = (function* generate(): Generator<number> {
      for (;;) yield (pulled += 1)
    })()
    const stream = mapStream(endless, double, { concurrency: 2, bufferSize: 3 })
    await stream.next()
    await setImmediate()
    expect(pulled).toBe(6)
    for (let i = 0; i < 100; i += 1) await stream.next()
    await setImmediate()
    expect(pulled).toBe(106)
    await stream.return()
  })

  test('leaving the loop ends the run and closes the source', async () => {
    let wasClosed = false
    const signals: AbortSignal[] = []
    const source = (function* generate(): Generator<number> {
      try {
        for (let i = 0; ; i += 1) yield i
      } finally {
        wasClosed = true
      }
    })()
    const fn = (item: number, { signal }: { signal: AbortSignal }): number => {
      signals.push(signal)
      return item
    }
    for await (const result of mapStream(source, fn)) {
      if (result === 3) break
    }
    expect(wasClosed).toBe(true)
    expect(signals[0]?.aborted).toBe(true)
  })

  test('an error and an abort reach the reader', async () => {
    const { fn, fail } = gates()
    const reading = mapStream([1, 2], fn, { concurrency: 2 }).next()
    const failed = rejectionOf(reading)
    await fail(2, new Error('two'))
    expect(await failed).toMatchObject({ message: 'two' })

    const controller = new AbortController()
    const stream = mapStream([1], gates().fn, { signal: controller.signal })
    const aborted = rejectionOf(stream.next())
    controller.abort(new Error('stop'))
    expect(await aborted).toMatchObject({ message: 'stop' })
  })

  test('batches are flattened and errors can be collected', async () => {
    const stream = mapStream(
      [1, 2, 3],
      (items) => {
        if (items.includes(3)) throw new Error('three')
        return items
      },
      { batchSize: 2, errors: 'collect' },
    )
    expect(await Array.fromAsync(stream)).toEqual([
      { status: 'fulfilled', value: 1, index: 0 },
      { status: 'fulfilled', value: 2, index: 1 },
      { status: 'rejected', reason: new Error('three'), index: 2 },
    ])
  })
})
