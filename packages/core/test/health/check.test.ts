import { createHealth, degraded, down } from '@dharma/core/health'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test } from 'vitest'

function start() {
  const clock = new ManualClock()
  const health = createHealth({ clock, eventLoop: false })
  return { clock, health }
}

describe('a check', () => {
  test('is pending until its first run has ended, and readiness is not OK so long', async () => {
    const { clock, health } = start()
    const { promise, resolve } = Promise.withResolvers<void>()
    health.register({ name: 'db', kind: 'readiness', check: () => promise })
    expect(health.report('readiness')).toMatchObject({
      status: 'pending',
      isOk: false,
      reason: 'db: pending',
    })
    resolve()
    await clock.advance(0)
    expect(health.report('readiness')).toMatchObject({ status: 'up', isOk: true })
  })

  test('runs at once and then at its interval', async () => {
    const { clock, health } = start()
    let runs = 0
    health.register({ name: 'db', kind: 'readiness', everyMs: 1_000, check: () => void runs++ })
    expect(runs).toBe(1)
    await clock.advance(3_000)
    expect(runs).toBe(4)
  })

  test('is never run twice at once', async () => {
    const { clock, health } = start()
    let running = 0
    let most = 0
    health.register({
      name: 'slow',
      kind: 'readiness',
      everyMs: 100,
      timeoutMs: 1_000,
      async check() {
        most = Math.max(most, ++running)
        await clock.sleep(450)
        running--
      },
    })
    await clock.advance(5_000)
    expect(most).toBe(1)
    expect(health.report('readiness').checks[0]).toMatchObject({ status: 'up', durationMs: 450 })
  })

  test('that hangs is down after its timeout and does not pile up', async () => {
    const { clock, health } = start()
    let runs = 0
    health.register({
      name: 'hung',
      kind: 'readiness',
      timeoutMs: 1_000,
      everyMs: 2_000,
      check() {
        runs++
        return new Promise(() => {})
      },
    })
    await clock.advance(999)
    expect(health.report('readiness').status).toBe('pending')
    await clock.advance(1)
    expect(health.report('readiness')).toMatchObject({
      status: 'down',
      reason: 'hung: check hung did not end within 1000 ms',
    })
    await clock.advance(60_000)
    expect(runs).toBe(1)
    expect(clock.pendingTimers).toBe(1)
  })

  test('that hangs is told by its signal', async () => {
    const { clock, health } = start()
    let seen: AbortSignal | undefined
    health.register({
      name: 'hung',
      kind: 'readiness',
      timeoutMs: 1_000,
      check(signal) {
        seen = signal
        return new Promise(() => {})
      },
    })
    await clock.advance(999)
    expect(seen?.aborted).toBe(false)
    await clock.advance(1)
    expect(seen?.reason).toMatchObject({ code: 'DHARMA_TIMEOUT', timeoutMs: 1_000 })
  })

  test('that hung runs again once the lost run has settled, and recovers by itself', async () => {
    const { clock, health } = start()
    const lost = Promise.withResolvers<void>()
    let runs = 0
    health.register({
      name: 'hung',
      kind: 'readiness',
      timeoutMs: 1_000,
      everyMs: 2_000,
      check: () => (++runs === 1 ? lost.promise : undefined),
    })
    await clock.advance(6_000)
    expect(health.report('readiness').status).toBe('down')
    lost.reject(new Error('connection reset'))
    await clock.advance(2_000)
    expect(health.report('readiness').status).toBe('up')
    expect(runs).toBe(2)
  })

  test('that may have two runs pending recovers though the first never settles', async () => {
    const { clock, health } = start()
    let runs = 0
    health.register({
      name: 'lossy',
      kind: 'readiness',
      timeoutMs: 1_000,
      everyMs: 2_000,
      maxPending: 2,
      check: () => (++runs === 1 ? new Promise(() => {}) : undefined),
    })
    await clock.advance(1_000)
    expect(health.report('readiness').status).toBe('down')
    await clock.advance(1_000)
    expect(health.report('readiness').status).toBe('up')
  })

  test('is down after as many failures in a row as allowed, and up after one success', async () => {
    const { clock, health } = start()
    let isBroken = false
    const handle = health.register({
      name: 'db',
      kind: 'readiness',
      everyMs: 1_000,
      failAfter: 3,
      check() {
        if (isBroken) throw new Error('refused')
      },
    })
    await clock.advance(0)
    isBroken = true
    await clock.advance(2_000)
    expect(handle.result).toMatchObject({
      status: 'up',
      consecutiveFailures: 2,
      reason: 'refused',
    })
    await clock.advance(1_000)
    expect(handle.result).toMatchObject({ status: 'down', consecutiveFailures: 3 })
    isBroken = false
    await clock.advance(1_000)
    expect(handle.result).toMatchObject({ status: 'up', consecutiveFailures: 0 })
    expect(handle.result).not.toHaveProperty('reason')
  })

  test('that hangs is counted as failed once an interval until it is down', async () => {
    const { clock, health } = start()
    const handle = health.register({
      name: 'hung',
      kind: 'liveness',
      timeoutMs: 1_000,
      everyMs: 2_000,
      failAfter: 3,
      check: () => new Promise(() => {}),
    })
    await clock.advance(3_999)
    expect(handle.result).toMatchObject({ status: 'pending', consecutiveFailures: 2 })
    await clock.advance(1)
    expect(handle.result).toMatchObject({ status: 'down', consecutiveFailures: 3 })
  })

  test('keeps since when it has its status, and how long its last run took', async () => {
    const { clock, health } = start()
    const startMs = clock.now()
    const handle = health.register({
      name: 'db',
      kind: 'readiness',
      everyMs: 1_000,
      check: () => clock.sleep(20),
    })
    await clock.advance(5_020)
    expect(handle.result).toMatchObject({
      sinceMs: startMs + 20,
      checkedAtMs: startMs + 5_020,
      durationMs: 20,
    })
  })

  test.each([
    ['returns false', () => false, 'down', 'the check returned false'],
    ['returns down', () => down('queue is full'), 'down', 'queue is full'],
    ['throws at once', () => raise(new Error('no route')), 'down', 'no route'],
    ['returns degraded', () => degraded('lag 12 s'), 'degraded', 'lag 12 s'],
    ['returns a result of its client', () => ({ status: 'down' }), 'up', undefined],
  ])('that %s has the status that goes with it', async (_, check, status, reason) => {
    const { clock, health } = start()
    const { result } = await settled(
      clock,
      health.register({ name: 'x', kind: 'readiness', check }),
    )
    expect(result.status).toBe(status)
    expect(result.reason).toBe(reason)
  })

  test('can be asked to look now, and joins the run under way', async () => {
    const { clock, health } = start()
    let runs = 0
    const handle = health.register({
      name: 'db',
      kind: 'readiness',
      check: async () => {
        runs++
        await clock.sleep(10)
      },
    })
    const joined = handle.refresh()
    await clock.advance(10)
    await expect(joined).resolves.toMatchObject({ status: 'up' })
    expect(runs).toBe(1)
    const again = handle.refresh()
    await clock.advance(10)
    await again
    expect(runs).toBe(2)
  })

  test('that hangs answers a request to look with what is known', async () => {
    const { clock, health } = start()
    const handle = health.register({
      name: 'hung',
      kind: 'readiness',
      timeoutMs: 10,
      check: () => new Promise(() => {}),
    })
    await clock.advance(10)
    await expect(handle.refresh()).resolves.toMatchObject({ status: 'down' })
  })

  test('that is unregistered while it runs is told, forgotten, and leaves no timer', async () => {
    const { clock, health } = start()
    let seen: AbortSignal | undefined
    const handle = health.register({
      name: 'db',
      kind: 'readiness',
      check: (signal) => {
        seen = signal
        return new Promise(() => {})
      },
    })
    const refreshed = handle.refresh()
    handle.unregister()
    handle[Symbol.dispose]()
    expect(seen?.aborted).toBe(true)
    await expect(refreshed).resolves.toMatchObject({ status: 'pending' })
    expect(health.report('readiness')).toMatchObject({ status: 'up', checks: [] })
    expect(clock.pendingTimers).toBe(0)
    await expect(handle.refresh()).resolves.toMatchObject({ status: 'pending' })
  })

  test.each([
    [{ name: '' }, 'name of a check must not be empty'],
    [{ timeoutMs: 0 }, 'timeoutMs must be at least 1, got 0'],
    [{ everyMs: Number.NaN }, 'everyMs must be at least 1, got NaN'],
    [{ failAfter: 1.5 }, 'failAfter must be a whole number of at least 1, got 1.5'],
    [{ maxPending: 0 }, 'maxPending must be a whole number of at least 1, got 0'],
  ])('with %o is refused', (wrong, message) => {
    const { clock, health } = start()
    const check = () => true
    expect(() => health.register({ name: 'x', kind: 'readiness', check, ...wrong })).toThrow(
      message,
    )
    expect(clock.pendingTimers).toBe(0)
  })
})

function raise(error: Error): never {
  throw error
}

async function settled<T>(clock: ManualClock, value: T): Promise<T> {
  await clock.advance(0)
  return value
}
