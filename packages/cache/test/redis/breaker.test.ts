import { TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it } from 'vitest'
import { Breaker } from '../../src/redis/breaker.ts'
import { DeadlineQueue } from '../../src/redis/deadline-queue.ts'

function setup(): {
  breaker: Breaker
  clock: ManualClock
  changes: boolean[]
  server: { isUp: boolean; probes: number }
} {
  const clock = new ManualClock()
  const changes: boolean[] = []
  const server = { isUp: false, probes: 0 }
  const breaker = new Breaker({
    clock,
    maxFailures: 2,
    probeEveryMs: 100,
    onChange: (isOpen) => changes.push(isOpen),
    probe: () => {
      server.probes++
      return server.isUp ? Promise.resolve() : Promise.reject(new Error('down'))
    },
  })
  return { breaker, clock, changes, server }
}

describe('Breaker', () => {
  it('opens after failures in a row, and closes when a probe is answered', async () => {
    const { breaker, clock, changes, server } = setup()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    expect(breaker.isOpen).toBe(false)
    breaker.failed()
    breaker.failed()
    expect(breaker.isOpen).toBe(true)
    await clock.advance(250)
    expect([server.probes, breaker.isOpen]).toEqual([2, true])
    server.isUp = true
    await clock.advance(100)
    expect([breaker.isOpen, changes]).toEqual([false, [true, false]])
    expect(clock.pendingTimers).toBe(0)
  })

  it('opens at once when told, and leaves no timer once it is closed for good', () => {
    const { breaker, clock, changes } = setup()
    breaker.open()
    breaker.open()
    breaker.close()
    expect([breaker.isOpen, changes, clock.pendingTimers]).toEqual([true, [true], 0])
    breaker.open()
    breaker.failed()
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('DeadlineQueue', () => {
  it('ends what takes too long, in order, with one timer for all', async () => {
    const clock = new ManualClock()
    const queue = new DeadlineQueue(clock, 100, 'the work')
    const never = (): Promise<never> => new Promise(() => {})
    const first = queue.limit(never()).catch((error: unknown) => error)
    await clock.advance(50)
    const quick = queue.limit(Promise.resolve('done'))
    const second = queue.limit(never()).catch((error: unknown) => error)
    expect(clock.pendingTimers).toBe(1)
    expect(await quick).toBe('done')
    await clock.advance(50)
    expect(await first).toBeInstanceOf(TimeoutError)
    await clock.advance(49)
    await expect(Promise.race([second, Promise.resolve('waiting')])).resolves.toBe('waiting')
    await clock.advance(1)
    expect(String(await second)).toContain('the work did not end within 100 ms')
    expect(clock.pendingTimers).toBe(0)
    await expect(queue.limit(Promise.reject(new Error('own')))).rejects.toThrow('own')
    queue.close()
    expect(clock.pendingTimers).toBe(0)
  })
})
