import { strict as assert } from 'node:assert'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CoarseClock } from '../../src/connection-pool/coarse-clock.ts'
import { resolvePoolOptions } from '../../src/connection-pool/connection-pool-options.ts'
import { DeadlineQueue } from '../../src/connection-pool/deadline-queue.ts'
import { zeroTotals } from '../../src/connection-pool/pool-stats.ts'
import type { Waiter } from '../../src/connection-pool/waiter-queue.ts'
import { WaitingRoom } from '../../src/connection-pool/waiting-room.ts'

describe('WaitingRoom', () => {
  class Room {
    readonly clock = new ManualClock()
    readonly deadlines = new DeadlineQueue(this.clock)
    readonly time = new CoarseClock(
      this.clock,
      () => 0,
      100,
      () => 0,
    )
    readonly totals = zeroTotals()
    readonly room: WaitingRoom<object> = new WaitingRoom<object>({
      settings: resolvePoolOptions({ clock: this.clock, maxWaiting: 8 }),
      deadlines: this.deadlines,
      time: this.time,
      totals: this.totals,
      leased: () => 1,
      failure: () => undefined,
      onLeft: () => undefined,
    })
  }

  it('forgets the deadlines of those who were served', () => {
    const { room, deadlines } = new Room()
    for (let served = 0; served < 1_000; served += 1) {
      room.dismiss(room.enter(5_000, undefined, undefined))
      expect(deadlines.size).toBeLessThanOrEqual(66)
    }
  })

  it(
    'holds callers in the order of their coming until lease, deadline or abort, as a list does',
    { timeout: 30_000 },
    async () => {
      const step = fc.oneof(
        fc.record({
          kind: fc.constant('enter' as const),
          timeoutMs: fc.constantFrom(50, 400, 9_999, 10_000, 12_000),
        }),
        fc.record({ kind: fc.constant('serve' as const) }),
        fc.record({ kind: fc.constant('abort' as const), pick: fc.nat() }),
        fc.record({
          kind: fc.constant('advance' as const),
          byMs: fc.integer({ min: 1, max: 6_000 }),
        }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const { clock, room, time, totals, deadlines } = new Room()
          let model: { id: number; sinceMs: number; timeoutMs: number; abort: AbortController }[] =
            []
          const waiters = new Map<number, Waiter<object>>()
          const rejected: number[] = []
          const outcome = { timedOut: 0, aborted: 0, refused: 0 }
          for (const [id, one] of steps.entries()) {
            if (one.kind === 'enter') {
              const refusal = room.refusal(one.timeoutMs)
              assert.equal(refusal !== undefined, model.length >= 8)
              if (refusal !== undefined) outcome.refused += 1
              else {
                const abort = new AbortController()
                const waiter = room.enter(one.timeoutMs, abort.signal, undefined)
                waiter.promise.catch(() => rejected.push(id))
                waiters.set(id, waiter)
                model.push({ id, sinceMs: clock.monotonicMs(), timeoutMs: one.timeoutMs, abort })
              }
            } else if (one.kind === 'serve') {
              const served = model.shift()
              assert.ok(room.first === (served === undefined ? undefined : waiters.get(served.id)))
              if (room.first !== undefined) room.dismiss(room.first)
            } else if (one.kind === 'abort') {
              const [gone] = model.splice(one.pick % Math.max(1, model.length), 1)
              gone?.abort.abort(new Error('stop'))
              if (gone !== undefined) outcome.aborted += 1
            } else {
              // The pool ticks at least as often as this.
              for (let left = one.byMs; left > 0; left -= 50) {
                await clock.advance(Math.min(50, left))
                room.tick(time.read())
              }
            }
            await clock.advance(0)
            const nowMs = clock.monotonicMs()
            // A long deadline is kept to within a tick, a short one exactly.
            const wrong = model.filter(({ id: other, sinceMs, timeoutMs }) => {
              const overMs = nowMs - sinceMs - timeoutMs
              const graceMs = timeoutMs < 10_000 ? 0 : 100
              return rejected.includes(other) ? overMs < 0 : overMs >= graceMs
            })
            expect(wrong).toEqual([])
            outcome.timedOut += model.filter(({ id: other }) => rejected.includes(other)).length
            model = model.filter(({ id: other }) => !rejected.includes(other))
            expect(room.length).toBe(model.length)
            expect(totals).toMatchObject(outcome)
            const [first] = model
            expect(room.first).toBe(first === undefined ? undefined : waiters.get(first.id))
          }
          for (const { abort } of model) abort.abort(new Error('end'))
          deadlines.close()
          expect([room.length, clock.pendingTimers]).toEqual([0, 0])
        }),
        { numRuns: 50 },
      )
    },
  )
})
