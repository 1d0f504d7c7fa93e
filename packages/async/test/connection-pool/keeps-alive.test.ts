import { ConnectionPool, CreateFailedError } from '@dharma/async/connection-pool'
import type { Clock } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { expect, it } from 'vitest'
import { TrackedFactory, follow } from './tracked-factory.ts'

it('a pause between failed attempts keeps the process alive only while somebody waits', async () => {
  const manual = new ManualClock()
  const factory = new TrackedFactory()
  factory.creating = 'fails'
  /** What the pauses' timers, of 750 ms each, were told. */
  const pauses: (boolean | undefined)[] = []
  const clock: Clock = {
    now: () => manual.now(),
    monotonicMs: () => manual.monotonicMs(),
    setInterval: (callback, everyMs) => manual.setInterval(callback, everyMs),
    sleep: (delayMs, signal) => manual.sleep(delayMs, signal),
    setTimeout: (callback, delayMs, options) => {
      if (delayMs === 750) pauses.push(options?.keepsAlive)
      return manual.setTimeout(callback, delayMs)
    },
  }
  await using pool = new ConnectionPool(factory, {
    clock,
    min: 1,
    random: () => 0.5,
    createBackoffBaseMs: 1_000,
    createBackoffMaxMs: 1_000,
  })
  await expect(pool.connect()).rejects.toThrow(CreateFailedError)
  expect(pauses).toEqual([false])
  const waiter = follow(pool.acquire())
  await manual.advance(1_000)
  expect(waiter.state).toBe('pending')
  expect(pauses).toEqual([false, true])
})
