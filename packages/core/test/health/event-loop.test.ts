import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createHealth, type EventLoopLimits, type EventLoopReading } from '@dharma/core/health'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test } from 'vitest'

const IDLE: EventLoopReading = { delayMs: 1, utilization: 0.1 }

function start(limits: EventLoopLimits = {}) {
  const clock = new ManualClock()
  let reading = IDLE
  let isProbing = true
  const probe = {
    take: () => reading,
    [Symbol.dispose]: () => void (isProbing = false),
  }
  const health = createHealth({ clock, eventLoop: { ...limits, probe } })
  return {
    clock,
    health,
    isProbing: () => isProbing,
    set: (next: EventLoopReading) => void (reading = next),
    liveness: () => health.report('liveness'),
  }
}

describe('liveness by the event loop', () => {
  test('is lost when the loop was late for five windows in a row', async () => {
    const { clock, set, liveness } = start()
    await clock.advance(2_000)
    expect(liveness()).toMatchObject({ status: 'up', isOk: true })
    set({ delayMs: 1_500, utilization: 1 })
    await clock.advance(4_000)
    expect(liveness().isOk).toBe(true)
    await clock.advance(1_000)
    expect(liveness()).toMatchObject({
      isOk: false,
      reason: 'event-loop: the event loop is 1500 ms late (limit 1000 ms)',
    })
  })

  test('is lost when the loop was never idle, though it was on time', async () => {
    const { clock, set, liveness } = start({ failAfter: 2, maxUtilization: 0.95 })
    set({ delayMs: 5, utilization: 0.975 })
    await clock.advance(3_000)
    expect(liveness()).toMatchObject({
      isOk: false,
      reason: 'event-loop: the event loop is 97.5 % busy (limit 95 %)',
    })
  })

  test('comes back with the first good window', async () => {
    const { clock, set, liveness } = start({ failAfter: 1 })
    set({ delayMs: 5_000, utilization: 1 })
    await clock.advance(2_000)
    expect(liveness().isOk).toBe(false)
    set(IDLE)
    await clock.advance(1_000)
    expect(liveness().isOk).toBe(true)
  })

  test('is kept through single bad windows', async () => {
    const { clock, set, liveness } = start({ failAfter: 2 })
    for (let round = 0; round < 5; round++) {
      set({ delayMs: 5_000, utilization: 1 })
      await clock.advance(1_000)
      set(IDLE)
      await clock.advance(1_000)
      expect(liveness().isOk).toBe(true)
    }
  })

  test('does not look at utilization when its limit is 1', async () => {
    const { clock, set, liveness } = start({ failAfter: 1, maxUtilization: 1 })
    set({ delayMs: 0, utilization: 1 })
    await clock.advance(10_000)
    expect(liveness().isOk).toBe(true)
  })

  test('is not there when the loop is not watched', () => {
    const clock = new ManualClock()
    const health = createHealth({ clock, eventLoop: false })
    expect(health.report('liveness').checks).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('ends with health', async () => {
    const { clock, health, isProbing } = start()
    await health.close()
    expect(isProbing()).toBe(false)
    expect(clock.pendingTimers).toBe(0)
  })

  test.each([
    [{ maxDelayMs: -1 }, 'maxDelayMs must be at least 0, got -1'],
    [{ maxUtilization: 2 }, 'maxUtilization must be between 0 and 1, got 2'],
    [{ everyMs: 0 }, 'everyMs must be at least 1, got 0'],
  ])('refuses %o', (limits, message) => {
    expect(() => createHealth({ clock: new ManualClock(), eventLoop: limits })).toThrow(message)
  })
})

describe('a real process', () => {
  test('whose loop is saturated is not live, and is again when the load is gone', async () => {
    const child = fork(new URL('saturated-process.ts', import.meta.url), {
      execArgv: ['--conditions=@dharma/source'],
    })
    try {
      const message = async () => (await once(child, 'message'))[0]
      const { port } = await message()
      const livez = async () => (await fetch(`http://127.0.0.1:${port}/livez?verbose`)).json()
      expect(await livez()).toMatchObject({ status: 'up' })

      child.send('saturate')
      expect(await message()).toEqual({ liveness: 'down' })
      expect(await livez()).toMatchObject({
        status: 'down',
        reason: expect.stringMatching(/^event-loop: the event loop is \d{2,} ms late/),
      })

      child.send('rest')
      expect(await message()).toEqual({ liveness: 'up' })
      expect(await livez()).toMatchObject({ status: 'up' })
    } finally {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }, 20_000)
})
