import { getEventListeners } from 'node:events'
import { withTimeout, type CallContext } from '@dharma/async/resilience'
import { TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rejectionOf } from './rejection-of.ts'

const never = (): Promise<never> => Promise.withResolvers<never>().promise

/** Its time can leap while no timer fires, as when the event loop is blocked. */
class StallingClock extends ManualClock {
  stalledMs = 0

  override monotonicMs(): number {
    return super.monotonicMs() + this.stalledMs
  }
}

describe('withTimeout', () => {
  test('what ends in time is given back', async () => {
    const clock = new ManualClock()
    expect(await withTimeout(async () => 7, 100, { clock })).toBe(7)
    expect(await withTimeout(() => 8, 100, { clock })).toBe(8)
    await expect(withTimeout(() => Promise.reject(new Error('own')), 100)).rejects.toThrow('own')
    const fail = (): never => {
      throw new Error('at once')
    }
    await expect(withTimeout(fail, 100, { clock })).rejects.toThrow('at once')
    await clock.advance(100)
    expect(clock.pendingTimers).toBe(0)
  })

  test('what does not is aborted, and what it does later is dropped', async () => {
    const clock = new ManualClock()
    let signal: AbortSignal | undefined
    const late = async (context: CallContext): Promise<never> => {
      signal = context.signal
      await clock.sleep(500)
      throw new Error('late')
    }
    const result = withTimeout(late, 100, { clock, operation: 'the lookup' })
    const failed = rejectionOf(result)
    await clock.advance(100)
    expect(await failed).toEqual(new TimeoutError('the lookup', 100))
    expect(signal?.reason).toBeInstanceOf(TimeoutError)
    await clock.advance(1_000)
  })

  test('a signal that is asked for only after the end is aborted', async () => {
    const clock = new ManualClock()
    const seen = Promise.withResolvers<boolean>()
    const late = async (context: CallContext): Promise<void> => {
      await clock.sleep(500)
      seen.resolve(context.signal.aborted)
    }
    const failed = rejectionOf(withTimeout(late, 100, { clock }))
    await clock.advance(500)
    expect(await failed).toBeInstanceOf(TimeoutError)
    expect(await seen.promise).toBe(true)
  })

  test('abort ends the wait with its reason and leaves no listener', async () => {
    const controller = new AbortController()
    const { signal } = controller
    let inner: AbortSignal | undefined
    const hang = (context: CallContext): Promise<never> => {
      inner = context.signal
      return never()
    }
    const result = withTimeout(hang, Infinity, { signal })
    controller.abort(new Error('stop'))
    await expect(result).rejects.toThrow('stop')
    expect(inner?.aborted).toBe(true)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    await expect(withTimeout(() => 1, 10, { signal })).rejects.toThrow('stop')
  })

  test('a thousand timeouts need one timer of the clock', async () => {
    const clock = new ManualClock()
    const calls = Array.from({ length: 1_000 }, (_, i) => withTimeout(never, 100 + i, { clock }))
    const settled = Promise.allSettled(calls)
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(1_200)
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  test('a wheel without timeouts lets go of its timer within 100 ms', async () => {
    const clock = new ManualClock()
    await withTimeout(async () => 1, 60_000, { clock })
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(100)
    expect(clock.pendingTimers).toBe(0)
  })

  test('timeouts that are turns of the wheel apart fire in their order', async () => {
    const clock = new ManualClock()
    const fired: number[] = []
    const calls = [60_000, 5_120, 10_240, 1, 5_121].map(async (timeoutMs) => {
      await expect(withTimeout(never, timeoutMs, { clock })).rejects.toThrow(TimeoutError)
      fired.push(timeoutMs)
    })
    await clock.advance(60_005)
    await Promise.all(calls)
    expect(fired).toEqual([1, 5_120, 5_121, 10_240, 60_000])
  })

  test('timeouts that passed while the event loop was blocked all fire at once', async () => {
    const clock = new StallingClock()
    const calls = [100, 5_300, 9_000, 30_000].map((ms) => withTimeout(never, ms, { clock }))
    const settled = Promise.allSettled(calls.slice(0, 3))
    clock.stalledMs = 20_000
    await clock.advance(100)
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true)
    const last = rejectionOf(calls[3] ?? never())
    await clock.advance(10_000)
    expect(await last).toBeInstanceOf(TimeoutError)
    expect(clock.pendingTimers).toBe(0)
  })

  test('a timeout whose end cancels another one that is due keeps the wheel whole', async () => {
    const clock = new ManualClock()
    const controller = new AbortController()
    const { signal } = controller
    const first = withTimeout(never, 50, { clock }).catch(() => controller.abort(new Error('stop')))
    const hang = ({ signal: own }: CallContext): Promise<never> => {
      own.addEventListener('abort', () => controller.abort(new Error('stop')))
      return never()
    }
    const failed = [
      rejectionOf(withTimeout(hang, 50, { clock })),
      rejectionOf(withTimeout(never, 50, { clock, signal })),
    ]
    await clock.advance(50)
    await first
    expect(await Promise.all(failed)).toEqual([
      new TimeoutError('the operation', 50),
      new Error('stop'),
    ])
    expect(await withTimeout(async () => 1, 50, { clock })).toBe(1)
    await clock.advance(100)
    expect(clock.pendingTimers).toBe(0)
  })

  test('any set of timeouts fires never early and at most 5 ms late', async () => {
    const call = fc.record({
      startMs: fc.integer({ min: 0, max: 7_000 }),
      timeoutMs: fc.integer({ min: 1, max: 12_000 }),
      workMs: fc.integer({ min: 0, max: 14_000 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 30 }), async (calls) => {
        const clock = new ManualClock()
        const settled = calls.map(async ({ startMs, timeoutMs, workMs }) => {
          await clock.sleep(startMs)
          const work = (): Promise<void> => clock.sleep(workMs)
          const [result] = await Promise.allSettled([withTimeout(work, timeoutMs, { clock })])
          const tookMs = clock.monotonicMs() - startMs
          const isDone = result.status === 'fulfilled'
          expect(tookMs).toBeGreaterThanOrEqual(isDone ? workMs : timeoutMs)
          expect(tookMs).toBeLessThan(isDone ? workMs + 1 : timeoutMs + 5)
          expect(isDone ? workMs <= timeoutMs + 5 : workMs >= timeoutMs).toBe(true)
        })
        await clock.advance(30_000)
        await Promise.all(settled)
        expect(clock.pendingTimers).toBe(0)
      }),
      { numRuns: 15 },
    )
  })

  test('a timeout that is not above 0 is refused', () => {
    expect(() => withTimeout(never, 0)).toThrow(new RangeError('timeoutMs must be above 0, got 0'))
  })
})
