import {
  createAlertEvaluator,
  defineAlerts,
  increase,
  only,
  quantile,
  rate,
  ratio,
  value,
  writePrometheusRules,
} from '@dharma/core/alerts'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test } from 'vitest'
import { hasPromtool, promtool } from './promtool.ts'

const metrics = createMetrics()
const hits = metrics.counter('hits_total', { help: 'Hits.', labels: ['cache', 'tier'] })
const waiting = metrics.gauge('waiting_jobs', { help: 'Jobs.', labels: ['queue'] })
const loads = metrics.histogram('load_seconds', { help: 'Loads.', labels: ['cache'] })
const windowMs = 61_000
const text = { severity: 'warning', summary: 'x' } as const

const alerts = defineAlerts([
  {
    name: 'QueueLong',
    when: value(waiting, { by: ['queue'], across: 'max' }),
    above: 10,
    forMs: 90_500,
    severity: 'critical',
    summary: 'Queue "{queue}" is longer than 10\\',
    runbook: 'https://example.test/queue',
  },
  {
    name: 'RatioLow',
    when: ratio(only(hits, { tier: 'l1' }), hits, { windowMs, by: ['cache'] }),
    below: 0.5,
    ...text,
  },
  {
    name: 'GrowthHigh',
    when: increase(only(hits, { tier: ['a.b', 'c|"d'] }), { windowMs: 47_500 }),
    above: 1e21,
    ...text,
  },
  { name: 'LoadSlow', when: quantile(0.99, loads, { windowMs }), above: 1e-7, ...text },
  {
    name: 'LoadSkewed',
    when: ratio(ratio(loads, loads, { windowMs }), rate(loads, { windowMs })),
    below: -3,
    ...text,
  },
])

test('the rules are written for each process', () => {
  expect(writePrometheusRules(alerts)).toMatchInlineSnapshot(`
    "# Written by writePrometheusRules: change the alerts, not this file.
    groups:
      - name: "dharma"
        interval: 15s
        rules:
          - alert: QueueLong
            expr: "max by (job, instance, queue) (waiting_jobs) > 10"
            for: 90500ms
            labels:
              severity: critical
            annotations:
              summary: "Queue \\"{{ $labels.queue }}\\" is longer than 10\\\\"
              runbook_url: "https://example.test/queue"
          - alert: RatioLow
            expr: "sum by (job, instance, cache) (rate(hits_total{tier=\\"l1\\"}[61s])) / sum by (job, instance, cache) (rate(hits_total[61s])) < 0.5"
            labels:
              severity: warning
            annotations:
              summary: "x"
          - alert: GrowthHigh
            expr: "sum by (job, instance) (increase(hits_total{tier=~\\"a\\\\\\\\.b|c\\\\\\\\|\\\\\\"d\\"}[47500ms])) > 1e+21"
            labels:
              severity: warning
            annotations:
              summary: "x"
          - alert: LoadSlow
            expr: "histogram_quantile(0.99, sum by (le, job, instance) (rate(load_seconds_bucket[61s]))) > 1e-7"
            labels:
              severity: warning
            annotations:
              summary: "x"
          - alert: LoadSkewed
            expr: "(sum by (job, instance) (rate(load_seconds_count[61s])) / sum by (job, instance) (rate(load_seconds_count[61s]))) / sum by (job, instance) (rate(load_seconds_count[61s])) < -3"
            labels:
              severity: warning
            annotations:
              summary: "x"
    "
  `)
})

test('labels of the scrape and the group can be chosen', () => {
  const rules = writePrometheusRules(alerts, { group: 'cache', keep: [] })
  expect(rules).toContain('name: "cache"')
  expect(rules).toContain(String.raw`"max by (queue) (waiting_jobs) > 10"`)
  expect(rules).toContain(
    '"histogram_quantile(0.99, sum by (le) (rate(load_seconds_bucket[61s]))) > 1e-7"',
  )
})

test('no alerts are an empty group', () => {
  expect(writePrometheusRules(defineAlerts([]))).toContain('rules: []')
})

describe.skipIf(!hasPromtool)('promtool', () => {
  test('accepts the rules', () => {
    for (const keep of [undefined, []]) {
      const rules = writePrometheusRules(alerts, keep === undefined ? {} : { keep })
      const run = promtool(['check', 'rules', 'rules.yml'], { 'rules.yml': rules })
      expect(run.output).toContain('SUCCESS: 5 rules found')
      expect(run.isPassed).toBe(true)
    }
  })

  test('fills the summary as the evaluator does', async () => {
    const clock = new ManualClock()
    waiting.bind('ma"il').set(11)
    await using evaluator = createAlertEvaluator(alerts, { metrics, clock })
    await clock.advance(105_000)
    const [firing] = evaluator.firing()
    expect(firing?.summary).toBe('Queue "ma"il" is longer than 10\\')
    const run = promtool(['test', 'rules', 'test.json'], {
      'rules.yml': writePrometheusRules(alerts),
      'test.json': JSON.stringify({
        rule_files: ['rules.yml'],
        evaluation_interval: '15s',
        tests: [
          {
            interval: '15s',
            input_series: [{ series: String.raw`waiting_jobs{queue="ma\"il"}`, values: '11x7' }],
            alert_rule_test: [
              {
                eval_time: '105s',
                alertname: 'QueueLong',
                exp_alerts: [
                  {
                    exp_labels: { queue: 'ma"il', severity: 'critical' },
                    exp_annotations: { summary: firing?.summary, runbook_url: firing?.runbook },
                  },
                ],
              },
            ],
          },
        ],
      }),
    })
    expect(run.output).toContain('SUCCESS')
    expect(run.isPassed).toBe(true)
  })
})
