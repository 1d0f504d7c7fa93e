/** The pool's pure parts against naive models. */
import { strict as assert } from 'node:assert'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DeadlineQueue, type Expiring } from '../../src/connection-pool/deadline-queue.ts'
import { WaitHistogram } from '../../src/connection-pool/wait-histogram.ts'
import { Waiter, WaiterQueue } from '../../src/connection-pool/waiter-queue.ts'

interface Item extends Expiring {
  isSettled: boolean
}

describe('DeadlineQueue', () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('add' as const),
        inMs: fc.oneof(fc.integer({ min: 0, max: 900 }), fc.constant(Infinity)),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('settle' as const), pick: fc.nat() }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('advance' as const), byMs: fc.nat(300) }),
    },
    {
      // As a crowd of which the most are served: what settled must be swept.
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('crowd' as const), count: fc.nat(200) }),
    },
  )

  it('expires what is due, in order and never early, as a list does that is looked through', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const clock = new ManualClock()
        const queue = new DeadlineQueue(clock)
        const live = new Set<Item>()
        const expired: number[] = []
        const add = (deadlineMs: number): Item => {
          const item: Item = {
            deadlineMs,
            isSettled: false,
            expire: () => {
              item.isSettled = true
              live.delete(item)
              expired.push(deadlineMs)
              expect(clock.monotonicMs()).toBe(deadlineMs)
            },
          }
          queue.add(item, clock.monotonicMs())
          live.add(item)
          return item
        }
        const settle = (item: Item): void => {
          item.isSettled = true
          live.delete(item)
          queue.noteSettled(item)
        }
        for (const one of steps) {
          if (one.kind === 'add') add(clock.monotonicMs() + one.inMs)
          else if (one.kind === 'settle') {
            const item = [...live][one.pick % Math.max(1, live.size)]
            if (item !== undefined) settle(item)
          } else if (one.kind === 'crowd') {
            for (let index = 0; index < one.count; index += 1) {
              settle(add(clock.monotonicMs() + 500 + ((index * 37) % 100)))
            }
          } else {
            const untilMs = clock.monotonicMs() + one.byMs
            const due = [...live].map((item) => item.deadlineMs).filter((ms) => ms <= untilMs)
            expired.length = 0
            await clock.advance(one.byMs)
            assert.deepEqual(
              expired,
              due.toSorted((a, b) => a - b),
            )
          }
          const finite = [...live].filter((item) => item.deadlineMs < Infinity).length
          expect(queue.size).toBeGreaterThanOrEqual(finite)
          expect(queue.size - finite).toBeLessThanOrEqual(finite + 65)
        }
        queue.close()
        expect([queue.size, clock.pendingTimers]).toEqual([0, 0])
      }),
    )
  })

  it('sleeps no longer than a quarter of a second, and not at all when it is empty', async () => {
    const clock = new ManualClock()
    const queue = new DeadlineQueue(clock)
    const item: Item = { deadlineMs: 10_000, isSettled: false, expire: () => undefined }
    queue.add(item, 0)
    expect(clock.pendingTimers).toBe(1)
    item.isSettled = true
    queue.noteSettled(item)
    await clock.advance(250)
    expect([queue.size, clock.pendingTimers]).toEqual([0, 0])
  })

  it('keeps what is added while something expires', async () => {
    const clock = new ManualClock()
    const queue = new DeadlineQueue(clock)
    const seen: number[] = []
    const add = (deadlineMs: number): void => {
      queue.add(
        {
          deadlineMs,
          isSettled: false,
          expire: () => {
            seen.push(clock.monotonicMs())
            if (seen.length < 3) add(clock.monotonicMs() + 5)
          },
        },
        clock.monotonicMs(),
      )
    }
    add(10)
    await clock.advance(100)
    expect(seen).toEqual([10, 15, 20])
  })
})

describe('WaiterQueue', () => {
  it('does what an array does', () => {
    const step = fc.record({ isPush: fc.boolean(), pick: fc.nat() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const queue = new WaiterQueue<object>()
        const model: Waiter<object>[] = []
        for (const { isPush, pick } of steps) {
          if (isPush) {
            const waiter = new Waiter<object>(() => undefined, 1_000, 1, undefined)
            queue.push(waiter)
            model.push(waiter)
          } else if (model.length > 0) {
            const [waiter] = model.splice(pick % model.length, 1)
            if (waiter !== undefined) queue.remove(waiter)
            assert.deepEqual([waiter?.previous, waiter?.next], [undefined, undefined])
          }
          const inOrder: unknown[] = []
          for (let one = queue.first; one !== undefined; one = one.next) inOrder.push(one)
          expect(inOrder.length).toBe(queue.length)
          expect(inOrder.every((one, index) => one === model[index])).toBe(true)
          expect(queue.length).toBe(model.length)
        }
      }),
    )
  })

  it('settles the promise of each waiter by its own functions', async () => {
    const waiters = [1, 2, 3].map(() => new Waiter<object>(() => undefined, 1_000, 1, undefined))
    const lease = { resource: {} }
    waiters[1]?.reject(new Error('second'))
    waiters[2]?.resolve(lease as never)
    const settled = await Promise.allSettled(waiters.slice(1).map(({ promise }) => promise))
    expect(settled).toEqual([
      { status: 'rejected', reason: new Error('second') },
      { status: 'fulfilled', value: lease },
    ])
  })
})

describe('WaitHistogram', () => {
  const WINDOW_MS = 1_000
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('wait' as const),
        ms: fc.double({ min: 0.001, max: 100_000, noNaN: true }),
        weight: fc.constantFrom(1, 16),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('atOnce' as const), count: fc.nat(20) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(2_500) }) },
  )

  it('gives the quantiles of the last two windows to 7 %, as sorting them all does', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (steps, q) => {
          let nowMs = 0
          let atOnce = 0
          const histogram = new WaitHistogram(nowMs, WINDOW_MS)
          let windows: number[][] = [[], []]
          let startedMs = 0
          const note = (ms: number, count: number): void => {
            for (let index = 0; index < count; index += 1) windows[0]?.push(ms)
          }
          for (const one of steps) {
            if (one.kind === 'wait') {
              histogram.record(one.ms, one.weight)
              note(one.ms, one.weight)
            } else if (one.kind === 'atOnce') {
              atOnce += one.count
              note(0, one.count)
            } else {
              nowMs += one.ms
              histogram.rotate(nowMs, atOnce)
              const elapsedMs = nowMs - startedMs
              if (elapsedMs >= WINDOW_MS) {
                windows = elapsedMs >= 2 * WINDOW_MS ? [[], []] : [[], windows[0] ?? []]
                startedMs = nowMs
              }
            }
          }
          const all = windows.flat().toSorted((a, b) => a - b)
          const exact = all[Math.max(0, Math.ceil(q * all.length - 1e-9) - 1)] ?? 0
          const told = histogram.quantile(q, atOnce)
          expect(Math.abs(told - exact)).toBeLessThanOrEqual(0.07 * exact + 0.001)
        },
      ),
    )
  })

  it('takes what is longer than it can tell for its longest', () => {
    const histogram = new WaitHistogram(0)
    histogram.record(1e12, 1)
    expect(histogram.quantile(0.5, 0)).toBeGreaterThan(1_900_000)
  })
})
