import { createAlertEvaluator, defineAlerts, quantile, value } from '@dharma/core/alerts'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import type { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'

describe('the evaluator', () => {
  test('resolves what fires when its metric is taken out of the registry', async () => {
    const clock = new ManualClock()
    const metrics = createMetrics()
    metrics.gauge('size_bytes', { help: 'Size.' }).bind().set(5)
    const alerts = defineAlerts(
      [
        {
          name: 'SizeLarge',
          when: value('size_bytes'),
          above: 4,
          severity: 'info',
          summary: 'large',
        },
      ],
      { metrics },
    )
    await using evaluator = createAlertEvaluator(alerts, { metrics, clock })
    await clock.advance(15_000)
    expect(evaluator.firing()).toHaveLength(1)
    ;(metrics.registry as Registry).removeSingleMetric('size_bytes')
    await clock.advance(15_000)
    expect(evaluator.readings().map(({ state }) => state.status)).toEqual(['resolved'])
  })

  test('a quantile in a bucket that ends at 0 is 0', async () => {
    const clock = new ManualClock()
    const metrics = createMetrics()
    const lags = metrics.histogram('lag_seconds', { help: 'Lag.', bounds: [0, 1] }).bind()
    const when = quantile(0.5, 'lag_seconds', { windowMs: 61_000 })
    const alerts = defineAlerts(
      [{ name: 'LagNone', when, below: 0.001, severity: 'info', summary: 'none' }],
      { metrics },
    )
    await using evaluator = createAlertEvaluator(alerts, { metrics, clock })
    for (let i = 0; i < 4; i++) {
      lags.observe(0)
      await clock.advance(15_000)
    }
    expect(evaluator.firing().map(({ state }) => state)).toMatchObject([{ value: 0 }])
  })

  test('tells no other listener once one has closed it', async () => {
    const clock = new ManualClock()
    const metrics = createMetrics()
    const gauge = metrics.gauge('size_bytes', { help: 'Size.' })
    const alerts = defineAlerts([
      { name: 'SizeLarge', when: value(gauge), above: 4, severity: 'info', summary: 'large' },
    ])
    const evaluator = createAlertEvaluator(alerts, { metrics, clock })
    const seen: string[] = []
    evaluator.onChange(() => {
      seen.push('first')
      void evaluator.close()
    })
    evaluator.onChange(() => seen.push('second'))
    gauge.bind().set(5)
    await clock.advance(15_000)
    await clock.advance(15_000)
    expect(seen).toEqual(['first'])
  })
})
