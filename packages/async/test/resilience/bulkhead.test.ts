import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { Bulkhead, BulkheadFullError } from '@dharma/async/resilience'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

describe('Bulkhead', () => {
  test('calls beyond limit and queue are rejected', async () => {
    const bulkhead = new Bulkhead({ name: 'search', limit: 1, queueLimit: 1 })
    const first = Promise.withResolvers<number>()
    const results = [bulkhead.execute(() => first.promise), bulkhead.execute(() => 2)]
    expect([bulkhead.inProgress, bulkhead.waiting]).toEqual([1, 1])
    await expect(bulkhead.execute(() => 3)).rejects.toEqual(new BulkheadFullError('search', 1, 1))
    await expect(bulkhead.execute(() => 3)).rejects.toMatchObject({
      code: 'DHARMA_BULKHEAD_FULL',
      message: 'search is full: 1 in progress, 1 waiting',
    })
    first.resolve(1)
    expect(await Promise.all(results)).toEqual([1, 2])
    expect([bulkhead.inProgress, bulkhead.waiting]).toEqual([0, 0])
  })

  test('a call that fails gives its slot on', async () => {
    const bulkhead = new Bulkhead({ limit: 1, queueLimit: 1 })
    const failed = bulkhead.execute(() => Promise.reject(new Error('own')))
    const next = bulkhead.execute(() => 2)
    await expect(failed).rejects.toThrow('own')
    expect(await next).toBe(2)
  })

  test('abort takes a waiting call out of the queue', async () => {
    const bulkhead = new Bulkhead({ limit: 1, queueLimit: 2 })
    const first = Promise.withResolvers<number>()
    const running = bulkhead.execute(() => first.promise)
    const controller = new AbortController()
    const { signal } = controller
    const waiting = bulkhead.execute(() => 2, signal)
    const last = bulkhead.execute(() => 3, new AbortController().signal)
    controller.abort(new Error('stop'))
    await expect(waiting).rejects.toThrow('stop')
    await expect(bulkhead.execute(() => 4, signal)).rejects.toThrow('stop')
    expect(bulkhead.waiting).toBe(1)
    first.resolve(1)
    expect(await Promise.all([running, last])).toEqual([1, 3])
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('any sequence of calls, ends and aborts runs as a plain queue would', async () => {
    const step = fc.record({
      what: fc.constantFrom('call', 'call', 'end', 'abort'),
      pick: fc.nat(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.nat(4),
        fc.array(step, { maxLength: 50 }),
        async (limit, queueLimit, steps) => {
          const bulkhead = new Bulkhead({ limit, queueLimit })
          const running: number[] = []
          const rejected: string[] = []
          const model = { running: [] as number[], waiting: [] as number[] }
          const ends = new Map<number, () => void>()
          const aborts = new Map<number, AbortController>()
          for (const [id, { what, pick }] of steps.entries()) {
            if (what === 'call') {
              const controller = new AbortController()
              const end = Promise.withResolvers<void>()
              aborts.set(id, controller)
              ends.set(id, end.resolve)
              const isFull = model.waiting.length >= queueLimit && model.running.length >= limit
              const call = bulkhead.execute(async () => {
                running.push(id)
                await end.promise
                running.splice(running.indexOf(id), 1)
              }, controller.signal)
              const settled = Promise.allSettled([call])
              if (isFull) rejected.push((await settled)[0].status)
              else if (model.running.length < limit) model.running.push(id)
              else model.waiting.push(id)
            } else if (what === 'end' && model.running.length > 0) {
              const [ended] = model.running.splice(pick % model.running.length, 1)
              ends.get(ended as number)?.()
              const next = model.waiting.shift()
              if (next !== undefined) model.running.push(next)
            } else if (what === 'abort' && model.waiting.length > 0) {
              const [aborted] = model.waiting.splice(pick % model.waiting.length, 1)
              aborts.get(aborted as number)?.abort()
            }
            await setImmediate()
            expect(new Set(running)).toEqual(new Set(model.running))
            expect(bulkhead.waiting).toBe(model.waiting.length)
            expect(bulkhead.inProgress).toBe(model.running.length)
          }
          expect(rejected.every((status) => status === 'rejected')).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('wrong options name option, limit and value', () => {
    expect(() => new Bulkhead({ limit: 0 })).toThrow(
      new RangeError('limit must be a whole number of at least 1, got 0'),
    )
    expect(() => new Bulkhead({ limit: 1, queueLimit: -1 })).toThrow(
      new RangeError('queueLimit must be a whole number of at least 0, got -1'),
    )
  })
})
