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
  type AlertEvaluator,
  type Alerts,
} from '@dharma/core/alerts'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test } from 'vitest'
import { hasPromtool, promtool, promtoolVersion } from './promtool.ts'
import { CACHES, QUEUES, RandomWorld } from './random-world.ts'

const INTERVAL_MS = 15_000
const TICKS = 120
const WORLDS = 16
const SEED = 4711

const cacheUsers = { cache: 'users' }
const by = ['cache']
const text = { severity: 'warning', summary: 'random' } as const

const alerts = defineAlerts(
  [
    {
      name: 'RatioLow',
      when: ratio('hits_total', 'lookups_total', { windowMs: 61_000 }),
      below: 0.9871,
      forMs: 60_000,
      ...text,
    },
    {
      name: 'RatioLowByCache',
      when: ratio('hits_total', 'lookups_total', { windowMs: 61_000, by }),
      below: 0.8,
      ...text,
    },
    {
      name: 'RatioHighShort',
      when: ratio('hits_total', 'lookups_total', { windowMs: 37_250, by }),
      above: 1.5,
      forMs: 31_000,
      ...text,
    },
    {
      name: 'RateHigh',
      when: rate('lookups_total', { windowMs: 47_500, by }),
      above: 1.7,
      forMs: 30_000,
      ...text,
    },
    {
      name: 'RateLong',
      when: rate('hits_total', { windowMs: 301_000 }),
      above: 5.03,
      forMs: 15_000,
      ...text,
    },
    {
      name: 'RateOfSome',
      when: rate(only('hits_total', { tier: ['l1', 'l2.x'], ...cacheUsers }), { windowMs: 31_000 }),
      above: 2,
      ...text,
    },
    {
      name: 'IncreaseHigh',
      when: increase(only('lookups_total', { cache: CACHES[1] ?? '' }), { windowMs: 121_000 }),
      above: 100,
      forMs: 45_000,
      ...text,
    },
    {
      name: 'IncreaseNone',
      when: increase('lookups_total', { windowMs: 181_000, by }),
      below: 1,
      ...text,
    },
    {
      name: 'QueueLong',
      when: value('waiting_jobs', { by: ['queue'] }),
      above: 50,
      forMs: 30_000,
      ...text,
    },
    {
      name: 'LongestQueueShort',
      when: value('waiting_jobs', { across: 'max' }),
      below: 20,
      ...text,
    },
    {
      name: 'ShortestQueueLong',
      when: value('waiting_jobs', { across: 'min' }),
      above: 40,
      forMs: 15_000,
      ...text,
    },
    {
      name: 'QueueShare',
      when: ratio(value(only('waiting_jobs', { queue: 'mail' })), value('waiting_jobs')),
      above: 0.5,
      ...text,
    },
    {
      name: 'LoadSlow',
      when: quantile(0.9, 'load_seconds', { windowMs: 61_000, by }),
      above: 0.5,
      forMs: 30_000,
      ...text,
    },
    {
      name: 'LoadMedian',
      when: quantile(0.5, 'load_seconds', { windowMs: 182_000 }),
      above: 0.1,
      ...text,
    },
    {
      name: 'LoadTail',
      when: quantile(0.99, 'load_seconds', { windowMs: 35_000, by }),
      below: 1,
      forMs: 15_000,
      ...text,
    },
    {
      name: 'LoadsFew',
      when: rate('load_seconds', { windowMs: 61_000, by }),
      below: 0.5,
      forMs: 15_000,
      ...text,
    },
    {
      name: 'LoadSkewed',
      when: ratio(
        quantile(0.95, 'load_seconds', { windowMs: 91_000 }),
        quantile(0.5, 'load_seconds', { windowMs: 91_000 }),
      ),
      above: 3,
      ...text,
    },
  ],
  { metrics: new RandomWorld(0, 1), scrapeIntervalMs: INTERVAL_MS },
)

const SETS: Readonly<Record<string, number>> = { cache: CACHES.length, queue: QUEUES.length }
const setsPerWorld = alerts.definitions.reduce(
  (sum, { when }) => sum + when.by.reduce((sets, label) => sets * (SETS[label] ?? 1), 1),
  0,
)

interface Expected {
  readonly expr: 'ALERTS'
  readonly eval_time: string
  exp_samples: { readonly labels: string; readonly value: 1 }[]
}

/** Every alert of every world that is pending or firing, tick by tick, as this engine decides. */
async function decide(worlds: readonly RandomWorld[], of: Alerts): Promise<Expected[]> {
  const clock = new ManualClock()
  const prometheus = promtoolVersion() ?? '3.6'
  const evaluators = worlds.map((world) => {
    return createAlertEvaluator(of, { metrics: world, clock, prometheus })
  })
  const expected: Expected[] = []
  for (let tick = 0; tick < TICKS; tick++) {
    expected.push({
      expr: 'ALERTS',
      eval_time: `${(tick * INTERVAL_MS) / 1000}s`,
      exp_samples: evaluators.flatMap(activeSamples),
    })
    for (const world of worlds) world.tick = tick + 1
    await clock.advance(INTERVAL_MS)
  }
  for (const evaluator of evaluators) await evaluator.close()
  expect(clock.pendingTimers).toBe(0)
  return expected
}

function activeSamples(evaluator: AlertEvaluator, world: number): Expected['exp_samples'] {
  return evaluator
    .readings()
    .filter(({ state }) => state.status === 'pending' || state.status === 'firing')
    .map(({ name, severity, labels, state }) => {
      const all = {
        alertname: name,
        alertstate: state.status,
        instance: `w${world}`,
        severity,
        ...labels,
      }
      const pairs = Object.entries(all).map(([label, shown]) => `${label}=${JSON.stringify(shown)}`)
      return { labels: `ALERTS{${pairs.join(',')}}`, value: 1 }
    })
}

function testFile(worlds: readonly RandomWorld[], expected: readonly Expected[]): string {
  return JSON.stringify({
    rule_files: ['rules.yml'],
    evaluation_interval: '15s',
    tests: [
      {
        interval: '15s',
        input_series: worlds.flatMap((world, index) => world.inputSeries(`w${index}`)),
        promql_expr_test: expected,
      },
    ],
  })
}

describe.skipIf(!hasPromtool)('the evaluator and Prometheus', () => {
  test('agree on every decision over random series', { timeout: 60_000 }, async () => {
    const worlds = Array.from(
      { length: WORLDS },
      (_, index) => new RandomWorld(SEED + index, TICKS),
    )
    const expected = await decide(worlds, alerts)
    const rules = writePrometheusRules(alerts)
    const decisions = WORLDS * TICKS * setsPerWorld
    const active = expected.flatMap(({ exp_samples }) => exp_samples)
    const firing = active.filter(({ labels }) => labels.includes('"firing"'))
    console.info(
      `${decisions} decisions, ${firing.length} firing, ${active.length - firing.length} pending`,
    )
    expect(decisions).toBeGreaterThanOrEqual(20_000)
    expect(firing.length).toBeGreaterThan(decisions / 20)
    for (const { name } of alerts.definitions) {
      expect(firing.some(({ labels }) => labels.includes(`"${name}"`))).toBe(true)
    }

    const run = promtool(['test', 'rules', 'test.json'], {
      'rules.yml': rules,
      'test.json': testFile(worlds, expected),
    })
    expect(run.output.slice(0, 4_000)).toContain('SUCCESS')
    expect(run.isPassed).toBe(true)
  })

  test('would be told apart by a single decision', { timeout: 60_000 }, async () => {
    const worlds = [new RandomWorld(SEED, TICKS)]
    const expected = await decide(worlds, alerts)
    const last = expected.findLast(({ exp_samples }) => exp_samples.length > 0)
    last?.exp_samples.pop()
    const run = promtool(['test', 'rules', 'test.json'], {
      'rules.yml': writePrometheusRules(alerts),
      'test.json': testFile(worlds, expected),
    })
    expect(run.isPassed).toBe(false)
    expect(run.output.match(/expr: "ALERTS"/g)).toHaveLength(1)
  })
})
