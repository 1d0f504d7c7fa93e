import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { attachSharedMetrics, createMetrics, createSharedMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { Gauge, Registry } from 'prom-client'
import { expect, it } from 'vitest'

const help = 'Counted in threads.'

it('threads are summed at scrape, and what one counted stays when it has ended', async () => {
  const metrics = createMetrics()
  const own = metrics.counter('a_total', { help, labels: ['b'] }).bind('x')
  own.inc(5)
  const shares = [createSharedMetrics(metrics), createSharedMetrics(metrics)]
  const workers = shares.map(({ memory }) => {
    return new Worker(new URL('thread.ts', import.meta.url), {
      workerData: { memory, times: 1000 },
      execArgv: ['--conditions=@dharma/source'],
    })
  })
  const exits = workers.map((worker) => once(worker, 'exit'))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  await Promise.all(exits)
  const text = await metrics.expose()
  expect(text).toContain('a_total{b="x"} 2005\n')
  expect(text).toContain('a_seconds_bucket{le="0.01"} 2000\n')
  expect(text).toContain('a_seconds_count 2000\n')
  expect(text).toContain('a 14\n')
  shares[0]?.close()
  shares[0]?.[Symbol.dispose]()
  expect(await metrics.expose()).toBe(text.replace('a 14\n', 'a 7\n'))
  expect(own.value).toBe(2005)
}, 20_000)

it('a full memory counts further label sets together, and refuses further metrics', () => {
  const metrics = createMetrics()
  const { memory } = createSharedMetrics(metrics, { sizeBytes: 6144 })
  const thread = attachSharedMetrics(memory, { clock: new ManualClock() })
  const counter = thread.counter('a_total', { help, labels: ['b'] })
  for (let i = 0; i < 50; i++) counter.bind(`set-${i}`).inc()
  const reading = metrics.read('a_total')
  if (reading?.kind !== 'counter') throw new Error('no counter')
  expect(reading.series.length).toBeLessThan(50)
  expect(reading.series.at(-1)?.labelValues).toEqual(['other'])
  expect(reading.series.reduce((sum, { value }) => sum + value, 0)).toBe(50)
  expect(() => thread.histogram('a_seconds', { help })).toThrow(/a_seconds has no room/)
  thread.close()
})

it('a full memory keeps one series for the rest of the gauges and histograms', () => {
  const metrics = createMetrics()
  const { memory } = createSharedMetrics(metrics, { sizeBytes: 8192 })
  const thread = attachSharedMetrics(memory, { clock: new ManualClock() })
  const gauge = thread.gauge('a', { help, labels: ['b'] })
  const sizes = thread.histogram('a_things', { help, labels: ['b'], bounds: [1] })
  for (let i = 0; i < 100; i++) {
    gauge.bind(`set-${i}`).add(1)
    sizes.bind(`set-${i}`).observe(1)
  }
  const all = [metrics.read('a'), metrics.read('a_things')]
  const sums = all.map((reading) => {
    const series = reading?.series ?? []
    expect(series.length).toBeLessThan(100)
    return series.reduce((sum, one) => sum + ('value' in one ? one.value : one.count), 0)
  })
  expect(sums).toEqual([100, 100])
  thread.close()
})

it("a thread's counter never goes back, and is read there", () => {
  const { memory } = createSharedMetrics(createMetrics())
  const thread = attachSharedMetrics(memory, { clock: new ManualClock() })
  const counter = thread.counter('a_total', { help }).bind()
  for (const by of [2, -1, Number.NaN]) counter.inc(by)
  expect(counter.value).toBe(2)
  thread.close()
})

it('a metric whose name the owner of the registry uses is counted as not read', () => {
  const registry = new Registry()
  new Gauge({ name: 'a', help, registers: [registry] }).set(1)
  const metrics = createMetrics({ registry })
  const { memory } = createSharedMetrics(metrics)
  const thread = attachSharedMetrics(memory, { clock: new ManualClock() })
  thread.gauge('a', { help }).bind().set(9)
  expect(metrics.read('dharma_metrics_read_failures_total')).toMatchObject({
    series: [{ labelValues: ['a'], value: 1 }],
  })
  thread.close()
})

it('a thread reads its own numbers, and its reads at intervals', async () => {
  const metrics = createMetrics({ prefix: 'shop_' })
  const { memory } = createSharedMetrics(metrics)
  const clock = new ManualClock()
  let size = 3
  await using thread = attachSharedMetrics(memory, { clock, readEveryMs: 1000 })
  const gauge = thread.gauge('a', { help, read: () => size })
  gauge.bind().set(1)
  const histogram = thread.histogram('a_seconds', { help, labels: ['b'] }).bind('x')
  histogram.observe(2)
  histogram.observe(Number.NaN)
  expect([histogram.count, histogram.sum]).toEqual([1, 2])
  expect(metrics.read('shop_a')).toMatchObject({ series: [{ value: 1 }] })
  await clock.advance(1000)
  expect(metrics.read('shop_a')).toMatchObject({ series: [{ value: 4 }] })
  size = 5
  expect(gauge.bind().value).toBe(6)
  expect(thread.read('a')).toMatchObject({ series: [{ value: 6 }] })
  expect(thread.names()).toEqual(['dharma_metrics_read_failures_total', 'a', 'a_seconds'])
  expect(await thread.expose()).toContain('a_seconds_sum{b="x"} 2\n')
})

it('a read that throws in a thread is counted there', async () => {
  const metrics = createMetrics()
  const { memory } = createSharedMetrics(metrics)
  const thread = attachSharedMetrics(memory, { clock: new ManualClock() })
  thread.gauge('a', {
    help,
    read() {
      throw new Error('broken')
    },
  })
  thread.close()
  expect(metrics.read('dharma_metrics_read_failures_total')).toMatchObject({
    series: [{ labelValues: ['a'], value: 1 }],
  })
})

it('a metric that the thread defines otherwise is counted as not read', () => {
  const metrics = createMetrics()
  metrics.gauge('a', { help }).bind().set(1)
  const { memory } = createSharedMetrics(metrics)
  const thread = attachSharedMetrics(memory, { clock: new ManualClock() })
  thread
    .gauge('a', { help, labels: ['b'] })
    .bind('x')
    .set(9)
  expect(metrics.read('a')).toMatchObject({ series: [{ value: 1 }] })
  expect(metrics.read('dharma_metrics_read_failures_total')).toMatchObject({
    series: [{ labelValues: ['a'], value: 1 }],
  })
  thread.close()
})

it('memory that is not ours, or in use, and options out of range are refused', () => {
  const { memory } = createSharedMetrics(createMetrics())
  attachSharedMetrics(memory, { clock: new ManualClock() }).close()
  expect(() => attachSharedMetrics(memory)).toThrow(TypeError('the memory has a thread already'))
  expect(() => attachSharedMetrics(new SharedArrayBuffer(4096))).toThrow(/layout 0, 1 is known/)
  expect(() => attachSharedMetrics(memory, { readEveryMs: 0 })).toThrow(
    /readEveryMs must be at least 1/,
  )
  const small = () => createSharedMetrics(createMetrics(), { sizeBytes: 100 })
  expect(small).toThrow(/sizeBytes must be a whole number from 4096 to 1073741824/)
})
