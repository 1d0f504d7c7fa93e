import {
  createAlertEvaluator,
  defineAlerts,
  increase,
  only,
  rate,
  ratio,
  value,
  type AlertChange,
  type AlertEvaluator,
} from '@dharma/core/alerts'
import type { BoundGauge, Clock, Timer } from '@dharma/core'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test, vi } from 'vitest'

interface Watched {
  readonly clock: ManualClock
  readonly evaluator: AlertEvaluator
  readonly waiting: BoundGauge
  readonly changes: string[]
}

function watch(forMs = 30_000): Watched {
  const clock = new ManualClock({ startMs: 1_000_000 })
  const metrics = createMetrics()
  const gauge = metrics.gauge('waiting_jobs', { help: 'Jobs.', labels: ['queue'] })
  const alerts = defineAlerts(
    [
      {
        name: 'QueueLong',
        when: value(gauge, { by: ['queue'] }),
        above: 10,
        forMs,
        severity: 'critical',
        summary: 'Queue {queue} is long',
        runbook: 'https://example.test/queue',
      },
    ],
    { metrics },
  )
  const evaluator = createAlertEvaluator(alerts, { metrics, clock })
  const changes: string[] = []
  evaluator.onChange(({ alert, from, to }) => changes.push(`${alert.summary}: ${from} → ${to}`))
  return { clock, evaluator, waiting: gauge.bind('mail'), changes }
}

describe('an alert', () => {
  test('is pending, fires after its time, is resolved, and is forgotten', async () => {
    const { clock, evaluator, waiting, changes } = watch()
    expect(evaluator.readings()).toEqual([])
    waiting.set(11)
    await clock.advance(15_000)
    expect(evaluator.readings()).toEqual([
      {
        name: 'QueueLong',
        severity: 'critical',
        summary: 'Queue mail is long',
        runbook: 'https://example.test/queue',
        labels: { queue: 'mail' },
        state: { status: 'pending', sinceMs: 1_015_000, value: 11 },
      },
    ])
    waiting.set(12)
    await clock.advance(30_000)
    expect(evaluator.firing()[0]?.state).toEqual({
      status: 'firing',
      sinceMs: 1_015_000,
      firingSinceMs: 1_045_000,
      value: 12,
    })
    waiting.set(10)
    await clock.advance(15_000)
    expect(evaluator.firing()).toEqual([])
    expect(evaluator.readings()[0]?.state).toMatchObject({
      status: 'resolved',
      resolvedAtMs: 1_060_000,
    })
    await clock.advance(15 * 60_000)
    expect(evaluator.readings()).toEqual([])
    expect(changes).toEqual([
      'Queue mail is long: inactive → pending',
      'Queue mail is long: pending → firing',
      'Queue mail is long: firing → resolved',
      'Queue mail is long: resolved → inactive',
    ])
  })

  test('that is right in between starts anew', async () => {
    const { clock, waiting, changes } = watch()
    for (const jobs of [11, 11, 0, 11, 11]) {
      waiting.set(jobs)
      await clock.advance(15_000)
    }
    expect(changes.map((change) => change.split(': ')[1])).toEqual([
      'inactive → pending',
      'pending → inactive',
      'inactive → pending',
    ])
  })

  test('without a time fires at once, and again after it was resolved', async () => {
    const { clock, waiting, changes } = watch(0)
    for (const jobs of [11, 0, 11]) {
      waiting.set(jobs)
      await clock.advance(15_000)
    }
    expect(changes.map((change) => change.split(': ')[1])).toEqual([
      'inactive → firing',
      'firing → resolved',
      'resolved → firing',
    ])
  })

  test('says nothing while a ratio is zero by zero, or a series is too young', async () => {
    const clock = new ManualClock()
    const metrics = createMetrics()
    const hits = metrics.counter('hits_total', { help: 'Hits.', labels: ['tier'] })
    const lookups = metrics.counter('lookups_total', { help: 'Lookups.' })
    const when = ratio(only(hits, { tier: 'l1' }), lookups, { windowMs: 61_000 })
    const alerts = defineAlerts([
      { name: 'HitRatioLow', when, below: 0.5, severity: 'warning', summary: 'low' },
      {
        name: 'Idle',
        when: rate(lookups, { windowMs: 61_000 }),
        below: 1,
        severity: 'info',
        summary: 'idle',
      },
    ])
    await using evaluator = createAlertEvaluator(alerts, { metrics, clock })
    const [l1, all] = [hits.bind('l1'), lookups.bind()]
    hits.bind('l2').inc(1_000)
    await clock.advance(15_000)
    expect(evaluator.firing()).toEqual([])
    await clock.advance(15_000)
    expect(evaluator.firing().map(({ name }) => name)).toEqual(['Idle'])
    l1.inc(40)
    all.inc(100)
    await clock.advance(15_000)
    expect(evaluator.firing().map(({ name }) => name)).toEqual(['HitRatioLow'])
    l1.inc(40)
    await clock.advance(15_000)
    expect(evaluator.firing()).toEqual([])
  })

  test('of a gauge that can no longer be read is resolved', async () => {
    const clock = new ManualClock()
    const metrics = createMetrics()
    let isBroken = false
    const gauge = metrics.gauge('size_bytes', {
      help: 'Size.',
      read: () => {
        if (isBroken) throw new Error('closed')
        return 5
      },
    })
    const alerts = defineAlerts([
      { name: 'SizeLarge', when: value(gauge), above: 4, severity: 'info', summary: 'large' },
    ])
    await using evaluator = createAlertEvaluator(alerts, { metrics, clock })
    expect(evaluator.firing()).toHaveLength(1)
    isBroken = true
    await clock.advance(15_000)
    expect(evaluator.readings()[0]?.state.status).toBe('resolved')
    await clock.advance(600_000)
    isBroken = false
    await clock.advance(15_000)
    expect(evaluator.firing()).toHaveLength(1)
  })
})

describe('the evaluator', () => {
  test.each([
    ['before 3.6', 1],
    ['3.6', 0],
  ] as const)(
    'extrapolates a counter that is younger than the window as Prometheus %s',
    async (prometheus, firing) => {
      const clock = new ManualClock()
      const metrics = createMetrics()
      const counter = metrics.counter('hits_total', { help: 'Hits.' })
      const alerts = defineAlerts([
        {
          name: 'Many',
          when: increase(counter, { windowMs: 301_000 }),
          above: 39,
          severity: 'info',
          summary: 'many',
        },
      ])
      counter.bind().inc(10)
      await using evaluator = createAlertEvaluator(alerts, { metrics, clock, prometheus })
      for (let turn = 0; turn < 2; turn++) {
        counter.bind().inc(15)
        await clock.advance(15_000)
      }
      // 30 in 30 s, from 10: zero was 10 s before, half an interval is 7.5 s: 40 or 37.5.
      expect(evaluator.firing()).toHaveLength(firing)
    },
  )

  test('holds one timer and none after close', async () => {
    const { clock, evaluator, waiting } = watch(0)
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(60_000)
    expect(clock.pendingTimers).toBe(1)
    await evaluator.close()
    expect(clock.pendingTimers).toBe(0)
    waiting.set(99)
    await clock.advance(60_000)
    expect(evaluator.readings()).toEqual([])
  })

  test('is not moved by a step of the wall clock', async () => {
    const { clock, evaluator, waiting } = watch()
    waiting.set(11)
    await clock.advance(15_000)
    clock.skew(-86_400_000)
    await clock.advance(30_000)
    expect(evaluator.firing()[0]?.state).toMatchObject({ firingSinceMs: 1_045_000 })
  })

  test('takes timers that are a little early or late as in time, and late ones as late', () => {
    const metrics = createMetrics()
    const gauge = metrics.gauge('size_bytes', { help: 'Size.' })
    gauge.bind().set(5)
    const alerts = defineAlerts([
      {
        name: 'SizeLarge',
        when: value(gauge),
        above: 4,
        forMs: 15_000,
        severity: 'info',
        summary: 'x',
      },
    ])
    const clock = new LateClock()
    const evaluator = createAlertEvaluator(alerts, { metrics, clock })
    clock.fireAt(14_999.5)
    expect(evaluator.firing()[0]?.state).toMatchObject({ firingSinceMs: 15_000 })
    expect(clock.delayMs).toBe(15_000.5)
    clock.fireAt(37_000)
    expect(clock.delayMs).toBe(8_000)
  })

  test('reports a listener that throws, without its secrets, and goes on', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { clock, evaluator, waiting, changes } = watch(0)
    const seen: AlertChange[] = []
    evaluator.onChange(() => {
      throw new Error('no redis://:canary@h')
    })
    const subscription = evaluator.onChange((change) => seen.push(change))
    waiting.set(11)
    await clock.advance(15_000)
    expect(warned).toHaveBeenCalledWith('a listener of alerts threw: no redis://***@h')
    expect(seen).toHaveLength(1)
    subscription[Symbol.dispose]()
    waiting.set(0)
    await clock.advance(15_000)
    expect(seen).toHaveLength(1)
    expect(changes).toHaveLength(2)
  })

  test('reports metrics that throw, and goes on', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const clock = new ManualClock()
    const metrics = createMetrics()
    const gauge = metrics.gauge('size_bytes', { help: 'Size.' })
    let reads = 0
    const read = (name: string): ReturnType<typeof metrics.read> => {
      if (++reads === 3) throw new Error('gone')
      return metrics.read(name)
    }
    const alerts = defineAlerts([
      { name: 'SizeLarge', when: value(gauge), above: 4, severity: 'info', summary: 'large' },
    ])
    await using evaluator = createAlertEvaluator(alerts, { metrics: { read }, clock })
    gauge.bind().set(5)
    await clock.advance(15_000)
    expect(warned).toHaveBeenCalledWith('alerts could not be evaluated: gone')
    await clock.advance(15_000)
    expect(evaluator.firing()).toHaveLength(1)
  })
})

/** Its one timer fires when the test says so. */
class LateClock implements Pick<Clock, 'now' | 'monotonicMs' | 'setTimeout'> {
  delayMs = 0
  #callback = (): void => {}
  #nowMs = 0

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    this.#callback = callback
    this.delayMs = delayMs
    return { cancel: () => {} }
  }

  fireAt(nowMs: number): void {
    this.#nowMs = nowMs
    this.#callback()
  }
}
