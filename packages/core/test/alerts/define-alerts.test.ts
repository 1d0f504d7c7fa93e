import {
  defineAlerts,
  increase,
  only,
  quantile,
  rate,
  ratio,
  value,
  createAlertEvaluator,
  type AlertDefinition,
  type Expression,
} from '@dharma/core/alerts'
import { noopMetrics } from '@dharma/core'
import { createMetrics } from '@dharma/core/metrics'
import { describe, expect, test } from 'vitest'

const metrics = createMetrics()
const hits = metrics.counter('hits_total', { help: 'Hits.', labels: ['cache', 'tier'] })
const lookups = metrics.counter('lookups_total', { help: 'Lookups.', labels: ['cache'] })
const size = metrics.gauge('size_bytes', { help: 'Size.' })
const loads = metrics.histogram('load_seconds', { help: 'Loads.', labels: ['cache'] })
const windowMs = 61_000

function define(when: Expression, change: object = {}): unknown {
  const one = { name: 'Some', when, below: 1, severity: 'info', summary: 'x', ...change }
  return defineAlerts([one as AlertDefinition], { metrics })
}

describe('an alert is refused at definition', () => {
  test.each<[string, () => unknown]>([
    [
      'alert Some looks at a metric that does not exist: misses_total',
      () => define(rate('misses_total', { windowMs })),
    ],
    [
      'alert Some needs a counter or a histogram, but size_bytes is a gauge',
      () => define(rate('size_bytes', { windowMs })),
    ],
    ['alert Some needs a gauge, but hits_total is a counter', () => define(value('hits_total'))],
    [
      'alert Some needs a histogram, but hits_total is a counter',
      () => define(quantile(0.5, 'hits_total', { windowMs })),
    ],
    [
      "alert Some asks lookups_total for the label 'tier', its labels are: cache",
      () => define(rate(lookups, { windowMs, by: ['tier'] })),
    ],
    [
      "alert Some asks size_bytes for the label 'tier', its labels are: none",
      () => define(value(only(size, { tier: 'l1' }))),
    ],
    [
      "alert Some wants no value of the label 'tier'",
      () => define(rate(only(hits, { tier: [] }), { windowMs })),
    ],
    [
      'alert Some has the same label twice in by',
      () => define(rate(hits, { windowMs, by: ['tier', 'tier'] })),
    ],
    [
      'alert Some divides what is by [cache] by what is by []',
      () => define(ratio(rate(hits, { windowMs, by: ['cache'] }), rate(lookups, { windowMs }))),
    ],
    [
      'alert Some needs a quantile between 0 and 1, got 1',
      () => define(quantile(1, loads, { windowMs })),
    ],
    [
      'alert Some needs windowMs as a whole number between 30000 and 30000000, got 30000',
      () => define(rate(hits, { windowMs: 30_000 })),
    ],
    ['61000 will do, got 60000', () => define(increase(hits, { windowMs: 60_000 }))],
    [
      'ratio of two metrics needs windowMs',
      () => define((ratio as (...of: unknown[]) => Expression)(hits, lookups)),
    ],
    [
      'name of an alert must be in upper camel case, got "some"',
      () => define(value(size), { name: 'some' }),
    ],
    [
      'alert Some: severity must be one of info, warning, critical',
      () => define(value(size), { severity: 'bad' }),
    ],
    [
      "alert Some: summary must be one line of text without '{{'",
      () => define(value(size), { summary: '{{ x }}' }),
    ],
    [
      'alert Some: summary speaks of {cache}, which is not in by',
      () => define(value(size), { summary: '{cache}' }),
    ],
    [
      'alert Some: runbook must be an http(s) URL without credentials',
      () => define(value(size), { runbook: 'https://a:b@c' }),
    ],
    ['alert Some needs either below or above', () => define(value(size), { above: 1 })],
    [
      'alert Some: its limit must be finite, got Infinity',
      () => define(value(size), { below: undefined, above: Infinity }),
    ],
    [
      'alert Some: its limit must be finite, got NaN',
      () => define(value(size), { below: Number.NaN }),
    ],
    [
      'alert Some: forMs must be a whole number of at least 0, got -1',
      () => define(value(size), { forMs: -1 }),
    ],
  ])('%s', (message, act) => {
    expect(act).toThrow(message)
  })

  test('when its name is taken', () => {
    const one = {
      name: 'Some',
      when: value(size),
      below: 1,
      severity: 'info',
      summary: 'x',
    } as const
    expect(() => defineAlerts([one, one])).toThrow(
      'name of an alert must be unique, got Some again',
    )
  })

  test('when a label would stand for one of its own', () => {
    const odd = metrics.gauge('odd_ratio', { help: 'Odd.', labels: ['severity'] })
    expect(() => define(value(odd, { by: ['severity'] }))).toThrow(
      "alert Some cannot be told apart by 'severity': it has that label itself",
    )
  })

  test('when it names a metric and nobody knows what there is', () => {
    const one = {
      name: 'Some',
      when: value('size_bytes'),
      below: 1,
      severity: 'info',
      summary: 'x',
    } as const
    expect(() => defineAlerts([one])).toThrow(
      'alert Some names the metric size_bytes: give the option metrics',
    )
  })

  test('when the scrape interval is too short', () => {
    expect(() => defineAlerts([], { scrapeIntervalMs: 10 })).toThrow(
      new RangeError('scrapeIntervalMs must be a whole number of at least 1000, got 10'),
    )
  })
})

test('handles alone tell what they are', () => {
  const text = { severity: 'info', summary: 'x', below: 1 } as const
  const { kinds } = defineAlerts([
    { name: 'One', when: ratio(hits, lookups, { windowMs }), ...text },
    { name: 'Two', when: value(size), ...text },
    { name: 'Three', when: quantile(0.5, only(loads, { cache: 'a' }), { windowMs }), ...text },
  ])
  expect(Object.fromEntries(kinds)).toEqual({
    hits_total: 'counter',
    lookups_total: 'counter',
    size_bytes: 'gauge',
    load_seconds: 'histogram',
  })
})

test('an evaluator refuses alerts on metrics that it does not have', () => {
  const alerts = defineAlerts([
    { name: 'One', when: value(size), below: 1, severity: 'info', summary: 'x' },
  ])
  expect(() => createAlertEvaluator(alerts, { metrics: noopMetrics })).toThrow(
    new RangeError('alert One looks at a metric that does not exist: size_bytes'),
  )
})
