import { createMetrics, noopMetrics } from '@dharma/core/metrics'
import { expect, it } from 'vitest'

const help = 'Some text.'

it('a counter never goes back', () => {
  const counter = createMetrics().counter('a_total', { help }).bind()
  counter.inc()
  counter.inc(2.5)
  counter.inc(-1)
  counter.inc(Number.NaN)
  expect(counter.value).toBe(3.5)
})

it('the same label values give the same series', () => {
  const counter = createMetrics().counter('a_total', { help, labels: ['b', 'c'] })
  expect(counter.bind('x', 'y')).toBe(counter.bind('x', 'y'))
  expect(counter.bind('x', 'y')).not.toBe(counter.bind('y', 'x'))
})

it('label sets beyond the cap are counted together', async () => {
  const metrics = createMetrics({ maxSeries: 2 })
  const counter = metrics.counter('a_total', { help, labels: ['b'] })
  for (const value of ['x', 'y', 'z', 'w', 'x', 'other']) counter.bind(value).inc()
  expect(await metrics.expose()).toBe(
    '# HELP a_total Some text.\n# TYPE a_total counter\n' +
      'a_total{b="x"} 2\na_total{b="y"} 1\na_total{b="other"} 3\n',
  )
})

it('values that would read as two are counted with the rest', () => {
  const counter = createMetrics().counter('a_total', { help, labels: ['b', 'c'] })
  expect(counter.bind('x\0', 'y')).toBe(counter.bind('other', 'other'))
})

it('a wrong number of label values is refused', () => {
  const counter = createMetrics().counter('a_total', { help, labels: ['b'] })
  expect(() => counter.bind()).toThrow(RangeError('metric a_total has 1 labels, got 0 values'))
})

it('a gauge is set, added to and read', () => {
  const metrics = createMetrics()
  const gauge = metrics.gauge('a', { help, read: () => 5 }).bind()
  metrics.gauge('a', { help, read: () => 10 })
  gauge.set(3)
  gauge.add(-1)
  expect(gauge.value).toBe(17)
})

it('a gauge with labels is read until its handle is disposed', () => {
  const gauge = createMetrics().gauge('a', { help, labels: ['b'] })
  const read = () => 2
  using stops = new DisposableStack()
  stops.use(gauge.readFrom(read, 'x'))
  const handle = gauge.readFrom(read, 'x')
  expect(gauge.bind('x').value).toBe(4)
  handle[Symbol.dispose]()
  expect(gauge.bind('x').value).toBe(2)
})

it('a gauge whose read throws is left out and counted', async () => {
  const metrics = createMetrics()
  const gauge = metrics.gauge('a', {
    help,
    read() {
      throw new Error('broken')
    },
  })
  expect(gauge.bind().value).toBeNaN()
  expect(await metrics.expose()).not.toMatch(/^a /m)
  expect(metrics.read('a')).toMatchObject({ series: [] })
  const failures = metrics.read('dharma_metrics_read_failures_total')
  expect(failures).toMatchObject({ series: [{ labelValues: ['a'], value: 3 }] })
})

it('a metric that was not defined here is not read', () => {
  expect(createMetrics().read('a')).toBeUndefined()
})

it('noopMetrics takes everything and keeps nothing', async () => {
  const counter = noopMetrics.counter('a_total', { help }).bind()
  counter.inc()
  const gauge = noopMetrics.gauge('a', { help })
  gauge.bind().set(1)
  gauge.bind().add(1)
  gauge.readFrom(() => 1)[Symbol.dispose]()
  const histogram = noopMetrics.histogram('a_seconds', { help }).bind()
  histogram.observe(1)
  expect([counter.value, gauge.bind().value, histogram.count]).toEqual([0, 0, 0])
  expect(histogram.quantile(0.5)).toBeNaN()
  expect(await noopMetrics.expose()).toBe('')
  expect([noopMetrics.read('a'), noopMetrics.names()]).toEqual([undefined, []])
})
