import {
  alertsCheck,
  AlertsFiringError,
  createAlertEvaluator,
  defineAlerts,
  value,
} from '@dharma/core/alerts'
import { createHealth } from '@dharma/core/health'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test } from 'vitest'

describe('alertsCheck', () => {
  test('degrades readiness while an alert that counts is firing', async () => {
    const clock = new ManualClock()
    const metrics = createMetrics()
    const waiting = metrics.gauge('waiting_jobs', { help: 'Jobs.' })
    const alerts = defineAlerts([
      { name: 'QueueLong', when: value(waiting), above: 10, severity: 'critical', summary: 'long' },
    ])
    await using evaluator = createAlertEvaluator(alerts, { metrics, clock })
    await using health = createHealth({ clock, eventLoop: false })
    const handle = health.register(alertsCheck(evaluator))
    await handle.refresh()
    expect(health.report('readiness').status).toBe('up')
    waiting.bind().set(11)
    await clock.advance(15_000)
    await handle.refresh()
    expect(health.report('readiness')).toMatchObject({
      status: 'degraded',
      isOk: true,
      reason: 'alerts: firing: QueueLong',
    })
  })

  test('does not speak of alerts that are less severe', () => {
    const reading = {
      name: 'A',
      severity: 'warning',
      summary: 's',
      labels: {},
      state: { status: 'firing', sinceMs: 0, firingSinceMs: 0, value: 1 },
    } as const
    const evaluator = { firing: () => [reading, reading] }
    expect(() => alertsCheck(evaluator).check()).not.toThrow()
    const strict = alertsCheck(evaluator, { severity: 'warning', isCritical: true })
    expect(() => strict.check()).toThrow(new AlertsFiringError(['A']))
    expect(strict.isCritical).toBe(true)
  })
})
