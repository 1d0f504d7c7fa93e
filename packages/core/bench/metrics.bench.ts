import type { Meter } from '@opentelemetry/api'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import * as successor from '@prometheus-io/client'
import * as promClient from 'prom-client'
import { createMetrics, NAMED_BOUNDS } from '@dharma/core/metrics'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'

/** Label sets in use, which are also the handles that are bound. A power of two. */
const SERIES = 64
const NAMES = ['cache', 'tier', 'outcome'] as const
const SETS = Array.from({ length: SERIES }, (_, i) => [
  `cache-${i >> 4}`,
  `l${i & 3}`,
  `o${i % 16}`,
])
const LABELS = SETS.map((set) => Object.fromEntries(NAMES.map((name, i) => [name, set[i] ?? ''])))
const BOUNDS = [...NAMED_BOUNDS.latency.bounds]

/** Latencies from 20 µs to 3 s, spread evenly over magnitudes: no branch is predictable. */
const VALUES = Float64Array.from(
  { length: 1024 },
  (_, i) => 2e-5 * 10 ** (5.2 * ((i * 0.618_033_988_75) % 1)),
)

const COUNTER = { name: 'bench_hits_total', help: 'Hits.', labelNames: NAMES }
const HISTOGRAM = { name: 'bench_load_seconds', help: 'Loads.', labelNames: NAMES, buckets: BOUNDS }

type Client = Pick<typeof promClient, 'Counter' | 'Histogram' | 'Registry'>

function ourCounters() {
  const hits = createMetrics().counter(COUNTER.name, { help: COUNTER.help, labels: NAMES })
  return SETS.map((set) => hits.bind(...set))
}

function ourHistograms() {
  const loads = createMetrics().histogram(HISTOGRAM.name, { help: HISTOGRAM.help, labels: NAMES })
  return SETS.map((set) => loads.bind(...set))
}

function eachTime(work: (i: number) => void): Subject {
  return {
    iterate(count) {
      for (let i = 0; i < count; i++) work(i)
    },
  }
}

function ourCounter(): Subject {
  const bound = ourCounters()
  return {
    iterate(count) {
      for (let i = 0; i < count; i++) bound[i & (SERIES - 1)]!.inc()
    },
  }
}

function ourHistogram(): Subject {
  const bound = ourHistograms()
  return {
    iterate(count) {
      for (let i = 0; i < count; i++) bound[i & (SERIES - 1)]!.observe(VALUES[i & 1023]!)
    },
  }
}

function clientCounter({ Counter, Registry }: Client, isBound: boolean): Subject {
  const counter = new Counter({ ...COUNTER, registers: [new Registry()] })
  if (!isBound) return eachTime((i) => counter.inc(LABELS[i & (SERIES - 1)]!, 1))
  const bound = LABELS.map((labels) => counter.labels(labels))
  return eachTime((i) => bound[i & (SERIES - 1)]!.inc())
}

function clientHistogram({ Histogram, Registry }: Client, isBound: boolean): Subject {
  const histogram = new Histogram({ ...HISTOGRAM, registers: [new Registry()] })
  if (!isBound)
    return eachTime((i) => histogram.observe(LABELS[i & (SERIES - 1)]!, VALUES[i & 1023]!))
  const bound = LABELS.map((labels) => histogram.labels(labels))
  return eachTime((i) => bound[i & (SERIES - 1)]!.observe(VALUES[i & 1023]!))
}

/** Collects when told to, and sends nothing. */
class ManualReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

function openTelemetry(): { meter: Meter; reader: ManualReader } {
  const reader = new ManualReader()
  return { meter: new MeterProvider({ readers: [reader] }).getMeter('bench'), reader }
}

function openTelemetryHistogram(meter: Meter, name = HISTOGRAM.name) {
  return meter.createHistogram(name, { advice: { explicitBucketBoundaries: BOUNDS } })
}

/** 64 counters and 64 histograms with one series of three labels each, all of them in use. */
function scraped(make: (i: number) => void, scrape: () => Promise<unknown>): Subject {
  for (let i = 0; i < SERIES; i++) make(i)
  return {
    async iterate(count) {
      for (let i = 0; i < count; i++) {
        const text = await scrape()
        // Makes the engine join a string that is still in pieces.
        if (typeof text === 'string') text.charCodeAt(0)
      }
    },
  }
}

function ourScrape(): Subject {
  const metrics = createMetrics()
  return scraped(
    (i) => {
      const hits = metrics.counter(`bench_${i}_hits_total`, { help: 'Hits.', labels: NAMES })
      hits.bind(...SETS[i]!).inc(i)
      const loads = metrics.histogram(`bench_${i}_load_seconds`, { help: 'Loads.', labels: NAMES })
      const bound = loads.bind(...SETS[i]!)
      for (const value of VALUES) bound.observe(value)
    },
    () => metrics.expose(),
  )
}

function clientScrape({ Counter, Histogram, Registry }: Client): Subject {
  const registry = new Registry()
  const registers = [registry]
  return scraped(
    (i) => {
      new Counter({ ...COUNTER, name: `bench_${i}_hits_total`, registers }).inc(LABELS[i]!, i)
      const name = `bench_${i}_load_seconds`
      const histogram = new Histogram({ ...HISTOGRAM, name, registers })
      for (const value of VALUES) histogram.observe(LABELS[i]!, value)
    },
    () => registry.metrics(),
  )
}

/** OpenTelemetry's reader makes objects of its numbers, not yet text. */
function openTelemetryScrape(): Subject {
  const { meter, reader } = openTelemetry()
  return scraped(
    (i) => {
      meter.createCounter(`bench_${i}_hits_total`).add(i, LABELS[i])
      const histogram = openTelemetryHistogram(meter, `bench_${i}_load_seconds`)
      for (const value of VALUES) histogram.record(value, LABELS[i])
    },
    () => reader.collect(),
  )
}

// The successor's types ask for its own registry; at run time both clients are alike.
const io = successor as unknown as Client

export const benches: readonly Bench[] = [
  defineBench({
    name: 'core.counter',
    title: 'One increment of a counter with 64 sets of three labels',
    subjects: {
      'dharma, bound': ourCounter,
      'prom-client, labels': () => clientCounter(promClient, false),
      'prom-client, bound': () => clientCounter(promClient, true),
      '@prometheus-io/client, labels': () => clientCounter(io, false),
      '@prometheus-io/client, bound': () => clientCounter(io, true),
      'OpenTelemetry, labels': () => {
        const counter = openTelemetry().meter.createCounter(COUNTER.name)
        return eachTime((i) => counter.add(1, LABELS[i & (SERIES - 1)]))
      },
    },
    bars: [
      { subject: 'dharma, bound', atMost: 2 },
      { subject: 'prom-client, labels', over: 'dharma, bound', atLeast: 100 },
    ],
  }),
  defineBench({
    name: 'core.histogram',
    title: 'One observation in a histogram of 16 bounds with 64 sets of three labels',
    subjects: {
      'dharma, bound': ourHistogram,
      'prom-client, labels': () => clientHistogram(promClient, false),
      'prom-client, bound': () => clientHistogram(promClient, true),
      '@prometheus-io/client, labels': () => clientHistogram(io, false),
      '@prometheus-io/client, bound': () => clientHistogram(io, true),
      'OpenTelemetry, labels': () => {
        const histogram = openTelemetryHistogram(openTelemetry().meter)
        return eachTime((i) => histogram.record(VALUES[i & 1023]!, LABELS[i & (SERIES - 1)]))
      },
    },
    bars: [
      { subject: 'dharma, bound', atMost: 10 },
      { subject: 'prom-client, labels', over: 'dharma, bound', atLeast: 40 },
    ],
  }),
  defineBench({
    name: 'core.scrape',
    title: 'The text of 64 counters and 64 histograms of 16 bounds, one series each',
    subjects: {
      'dharma, own text': ourScrape,
      'prom-client': () => clientScrape(promClient),
      '@prometheus-io/client': () => clientScrape(io),
      'OpenTelemetry, without text': openTelemetryScrape,
    },
    bars: [{ subject: 'dharma, own text', over: 'prom-client', atMost: 0.2 }],
  }),
]
