import { spawnSync } from 'node:child_process'
import { createMetrics, type MetricsHome } from '@dharma/core/metrics'
import * as successor from '@prometheus-io/client'
import * as promClient from 'prom-client'
import { expect, it } from 'vitest'

const help = 'A text with "quotes", \\ and\na new line.'
const hasPromtool = spawnSync('promtool', ['--version']).error === undefined

function fill(metrics: MetricsHome): void {
  const hits = metrics.counter('a_hits_total', { help, labels: ['b'], exemplars: true })
  hits.bind('a "quoted" \\ value\n').inc(2, { trace_id: 'abc' })
  hits.bind('plain').inc()
  const loads = metrics.histogram('a_load_seconds', { help, labels: ['b'], exemplars: true })
  loads.bind('plain').observe(0.02, { trace_id: 'def' })
  loads.bind('plain').observe(0.03, { trace_id: 'x'.repeat(128) })
  metrics.histogram('a_size_bytes', { help, bounds: 'size' }).bind().observe(300)
  metrics.histogram('a_hit_ratio', { help, bounds: 'ratio' }).bind().observe(1)
  metrics.gauge('a_temperature_celsius', { help }).bind().set(Number.POSITIVE_INFINITY)
  metrics.gauge('a_low', { help }).bind().set(Number.NEGATIVE_INFINITY)
}

it('promtool finds nothing wrong with the text', async (context) => {
  if (!hasPromtool) {
    if (process.env['CI'] === 'true') throw new Error('promtool is missing: install prometheus')
    console.warn('SKIPPED, for promtool is missing: the check of the text. Install prometheus.')
    context.skip()
  }
  const metrics = createMetrics()
  fill(metrics)
  const input = await metrics.expose()
  const { stdout, stderr, status } = spawnSync('promtool', ['check', 'metrics'], { input })
  expect([String(stdout), String(stderr), status]).toEqual(['', '', 0])
})

const clients = [
  ['prom-client', () => new promClient.Registry()],
  ['@prometheus-io/client', () => new successor.Registry()],
] as const

it.each(clients)('the registry of %s writes the same numbers as we do', async (_name, create) => {
  const registry = create()
  const metrics = createMetrics({ registry })
  fill(metrics)
  registry.setDefaultLabels({ service: 'shop', b: 'default' })
  const lines = (text: string) => text.split('\n').filter(Boolean).map(sortLabels).toSorted()
  const ours = await metrics.expose()
  expect(ours).toContain('service="shop"')
  expect(lines(ours)).toEqual(lines(await registry.metrics()))
})

it.each(clients)('the owner of a registry of %s keeps one text for all', async (name, create) => {
  const client = (name === 'prom-client' ? promClient : successor) as typeof promClient
  const registry = create() as promClient.Registry
  // The clients keep exemplars only for a registry that would write them.
  registry.setContentType(promClient.openMetricsContentType as never)
  const registers = [registry]
  new client.Counter({ name: 'own_total', help: 'Own.', labelNames: ['c'], registers }).inc({
    c: 'd',
  })
  const own = new client.Histogram({
    name: 'own_seconds',
    help: 'Own.',
    labelNames: ['c'],
    buckets: [1],
    enableExemplars: true,
    registers: [registry],
  })
  own.observe({ value: 0.5, labels: { c: 'd' }, exemplarLabels: { trace_id: 'abc' } as never })
  const metrics = createMetrics({ registry })
  expect(await metrics.expose()).toBe(
    '# HELP own_total Own.\n# TYPE own_total counter\nown_total{c="d"} 1\n' +
      '# HELP own_seconds Own.\n# TYPE own_seconds histogram\n' +
      'own_seconds_bucket{le="1",c="d"} 1\nown_seconds_bucket{le="+Inf",c="d"} 1\n' +
      'own_seconds_sum{c="d"} 0.5\nown_seconds_count{c="d"} 1\n',
  )
  const open = await metrics.expose('openmetrics')
  expect(open).toContain('# TYPE own counter\nown_total{c="d"} 1\n')
  expect(open).toMatch(/own_seconds_bucket\{le="1",c="d"\} 1 # \{trace_id="abc"\} 0.5 \d/)
})

it('a metric of the owner that cannot be read does not hide the others', async () => {
  const registry = new promClient.Registry()
  const broken = { name: 'own', get: () => Promise.reject(new Error('broken')) }
  registry.registerMetric(broken as never)
  const metrics = createMetrics({ registry })
  metrics.gauge('a', { help: 'A.' }).bind().set(1)
  expect(await metrics.expose()).toBe('# HELP a A.\n# TYPE a gauge\na 1\n')
  expect(await metrics.expose()).toContain('dharma_metrics_read_failures_total{metric="own"} 2\n')
})

it('OpenMetrics carries exemplars and names counters without _total', async () => {
  const metrics = createMetrics({ clock: { now: () => 1500 } })
  fill(metrics)
  const text = await metrics.expose('openmetrics')
  expect(text).toContain('# HELP a_hits A text with \\"quotes\\"')
  expect(text).toContain('# TYPE a_hits counter\n')
  expect(text).toContain('\\n"} 2 # {trace_id="abc"} 2 1.5\n')
  expect(text).toContain('le="0.025"} 1 # {trace_id="def"} 0.02 1.5\n')
  expect(text).not.toContain('x'.repeat(128))
  expect(text.endsWith('\n# EOF\n')).toBe(true)
  expect(await metrics.expose()).not.toContain('trace_id')
})

it('the registry writes OpenMetrics too', async () => {
  const registry = new promClient.Registry()
  registry.setContentType(promClient.openMetricsContentType as never)
  createMetrics({ registry }).counter('a_total', { help: 'A.' }).bind().inc()
  expect(await registry.metrics()).toBe('# HELP a A.\n# TYPE a counter\na_total 1\n# EOF\n')
})

it('the registry leaves out a gauge whose read throws', async () => {
  const registry = new promClient.Registry()
  const read = () => {
    throw new Error('broken')
  }
  createMetrics({ registry }).gauge('a', { help: 'A.', read })
  expect(await registry.getSingleMetricAsString('a')).toBe('# HELP a A.\n# TYPE a gauge')
})

it('resetMetrics of the registry sets all numbers to zero', () => {
  const registry = new promClient.Registry()
  const metrics = createMetrics({ registry })
  const counter = metrics.counter('a_total', { help, exemplars: true }).bind()
  const gauge = metrics.gauge('a', { help }).bind()
  const histogram = metrics.histogram('a_seconds', { help, exemplars: true }).bind()
  counter.inc(1, { trace_id: 'a' })
  gauge.set(2)
  histogram.observe(3, { trace_id: 'a' })
  registry.resetMetrics()
  expect([counter.value, gauge.value, histogram.count, histogram.sum]).toEqual([0, 0, 0, 0])
})

function sortLabels(line: string): string {
  const [, name, labels, rest] = /^(\w+)\{(.*)\}( \S+)$/.exec(line) ?? []
  if (labels === undefined) return line
  return `${name}{${labels
    .split(/,(?=\w+=")/)
    .toSorted()
    .join()}}${rest}`
}
