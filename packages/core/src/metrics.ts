/**
 * The metrics contract. Numbers live in the component that counts; text is made at scrape. Get one
 * with `createMetrics` of `@dharma/core/metrics`.
 */
export interface Metrics {
  /** @throws RangeError naming metric and rule, when name, help, labels or `maxSeries` are wrong. */
  counter(name: string, options: MetricOptions): Counter
  gauge(name: string, options: GaugeOptions): Gauge
  histogram(name: string, options: HistogramOptions): Histogram
  /** The Prometheus text of everything registered, the owner's own metrics included. */
  expose(): Promise<string>
}

export interface MetricOptions {
  /** What is counted, one sentence. */
  readonly help: string
  /** Label names, in the order in which {@link Counter.bind} takes their values. @default none */
  readonly labels?: readonly string[]
  /** Label sets kept apart; further ones are counted together in a series named `other`. @default 200 */
  readonly maxSeries?: number
}

export interface GaugeOptions extends MetricOptions {
  /** Read at scrape instead of being set; only for a gauge without labels. */
  readonly read?: () => number
}

export interface HistogramOptions extends MetricOptions {
  /** Upper bounds of the buckets in base units, ascending, or a named set. @default 'latency' */
  readonly bounds?: 'latency' | 'size' | 'ratio' | readonly number[]
}

/** A number that only grows. Its name ends in `_total`. */
export interface Counter {
  /** The series of these label values, made on first use. Keep it: incrementing it is one addition. */
  bind(...labelValues: string[]): BoundCounter
}

export interface BoundCounter {
  /** Adds `by`, which must not be negative. @default 1 */
  inc(by?: number): void
  readonly value: number
}

/** A number that goes up and down. */
export interface Gauge {
  bind(...labelValues: string[]): BoundGauge
}

export interface BoundGauge {
  set(value: number): void
  add(by: number): void
  readonly value: number
}

/** A distribution, in base units: seconds, bytes or a ratio. */
export interface Histogram {
  bind(...labelValues: string[]): BoundHistogram
}

export interface BoundHistogram {
  observe(value: number): void
  readonly count: number
  readonly sum: number
  /** The value below which the fraction `q` (0–1) lies, estimated; `NaN` while empty. */
  quantile(q: number): number
}
