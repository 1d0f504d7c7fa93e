import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { bridgeToOpenTelemetry, createMetrics } from '@dharma/core/metrics'
import { expect, it } from 'vitest'

class ManualReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  async points(): Promise<Record<string, unknown>> {
    const { resourceMetrics } = await this.collect()
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
    return Object.fromEntries(
      all.map(({ descriptor, dataPoints }) => [
        `${descriptor.name} ${descriptor.unit}`,
        dataPoints.map(({ value, attributes }) => [value, attributes]),
      ]),
    )
  }
}

it('an OpenTelemetry reader gets all metrics, those defined later too, until it is stopped', async () => {
  const reader = new ManualReader()
  const provider = new MeterProvider({ readers: [reader] })
  const metrics = createMetrics()
  const counter = metrics.counter('a_bytes_total', { help: 'A.', labels: ['b'] }).bind('x')
  counter.inc(2)
  const bridge = bridgeToOpenTelemetry(metrics, provider.getMeter('test'))
  metrics.gauge('c', { help: 'C.' }).bind().set(3)
  metrics.gauge('broken', {
    help: 'Broken.',
    read() {
      throw new Error('broken')
    },
  })
  const histogram = metrics.histogram('e_seconds', { help: 'E.', bounds: [1] }).bind()
  histogram.observe(0.5)
  histogram.observe(2)
  expect(await reader.points()).toMatchObject({
    'a_bytes_total By': [[2, { b: 'x' }]],
    'c 1': [[3, {}]],
    'e_seconds_bucket 1': [
      [1, { le: '1' }],
      [2, { le: '+Inf' }],
    ],
    'e_seconds_count 1': [[2, {}]],
    'e_seconds_sum s': [[2.5, {}]],
  })
  bridge[Symbol.dispose]()
  counter.inc()
  // The SDK goes on to report the last number that it was given.
  expect(await reader.points()).toMatchObject({ 'a_bytes_total By': [[2, { b: 'x' }]] })
  await provider.shutdown()
})
