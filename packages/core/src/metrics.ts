/**
 * The metrics contract. Numbers live in the component that counts; text is made at scrape. Get one
 * with `createMetrics` of `@dharma/core/metrics`, or `noopMetrics` where nobody asked for any.
 */
export interface Metrics {
  /**
   * The same name with the same shape (kind, labels, bounds) gives the same metric again.
   * @throws RangeError naming metric and rule, when name, help, labels or `maxSeries` are wrong, or
   * when the name is taken by another shape.
   */
  counter(name: string, options: MetricOptions): Counter
  gauge(name: string, options: GaugeOptions): Gauge
  histogram(name: string, options: HistogramOptions): Histogram
  /** The text of everything registered, the owner's own metrics included. @default 'prometheus' */
  expose(format?: ExpositionFormat): Promise<string>
  /** The numbers of one metric now, by its full name; `undefined` if it was not defined here. */
  read(name: string): MetricReading | undefined
  /** Full names of the metrics defined here, in order of definition. */
  names(): string[]
}

/** Prometheus text 0.0.4, or OpenMetrics 1.0.0, which carries exemplars. */
export type ExpositionFormat = 'prometheus' | 'openmetrics'

/** The `Content-Type` of each format that {@link Metrics.expose} writes. */
export const EXPOSITION_CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

export interface MetricOptions {
  /** What is counted, one sentence. */
  readonly help: string
  /** Label names, in the order in which {@link Counter.bind} takes their values. At most 6. @default none */
  readonly labels?: readonly string[]
  /** Label sets kept apart, 1–10,000; further ones are counted together in a series named `other`. @default 200 */
  readonly maxSeries?: number
  /** Whether `inc` and `observe` keep the exemplar they are given. Not for gauges. @default false */
  readonly exemplars?: boolean
}

export interface GaugeOptions extends MetricOptions {
  /**
   * Read at scrape instead of being set; only for a gauge without labels. Several definitions of
   * the same gauge are added up. For labels, or a component that can be closed: {@link Gauge.readFrom}.
   */
  readonly read?: () => number
}

export interface HistogramOptions extends MetricOptions {
  /**
   * Upper bounds of the buckets in base units, ascending, or a named set: `latency` for `_seconds`
   * (100 µs to 10 s), `size` for `_bytes` (256 B to 64 MiB), `ratio` for `_ratio` (0.01 to 1).
   * @default 'latency'
   */
  readonly bounds?: 'latency' | 'size' | 'ratio' | readonly number[]
}

/** Names of an exemplar and their values, such as a trace id; 128 characters at most in all. */
export type ExemplarLabels = Readonly<Record<string, string>>

/** A number that only grows. Its name ends in `_total`. */
export interface Counter {
  /** The full name, prefix included. */
  readonly name: string
  readonly labels: readonly string[]
  /** The series of these label values, made on first use. Keep it: incrementing it is one addition. */
  bind(...labelValues: string[]): BoundCounter
}

export interface BoundCounter {
  /** Adds `by`; a negative one and `NaN` are ignored, for a counter never goes back. @default 1 */
  inc(by?: number, exemplar?: ExemplarLabels): void
  readonly value: number
}

/** A number that goes up and down. */
export interface Gauge {
  /** The full name, prefix included. */
  readonly name: string
  readonly labels: readonly string[]
  bind(...labelValues: string[]): BoundGauge
  /**
   * Adds what `read` returns to the series at each scrape, until the handle is disposed. A `read`
   * that throws is left out and counted in `dharma_metrics_read_failures_total`.
   */
  readFrom(read: () => number, ...labelValues: string[]): Disposable
}

export interface BoundGauge {
  set(value: number): void
  add(by: number): void
  readonly value: number
}

/** A distribution, in base units: seconds, bytes or a ratio. */
export interface Histogram {
  /** The full name, prefix included. */
  readonly name: string
  readonly labels: readonly string[]
  readonly bounds: readonly number[]
  bind(...labelValues: string[]): BoundHistogram
}

export interface BoundHistogram {
  /** Counts `value`; `NaN` and infinities are ignored. */
  observe(value: number, exemplar?: ExemplarLabels): void
  readonly count: number
  readonly sum: number
  /**
   * The value below which the fraction `q` (0–1) lies, within 6 % of it between an eighth of the
   * lowest bound and eight times the highest; `NaN` while empty.
   */
  quantile(q: number): number
}

/** The numbers of a metric at one moment, threads included. */
export type MetricReading = ScalarReading | HistogramReading

export interface ScalarReading {
  readonly kind: 'counter' | 'gauge'
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly series: readonly ScalarSeriesReading[]
}

export interface ScalarSeriesReading {
  readonly labelValues: readonly string[]
  readonly value: number
}

export interface HistogramReading {
  readonly kind: 'histogram'
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly bounds: readonly number[]
  readonly series: readonly HistogramSeriesReading[]
}

export interface HistogramSeriesReading {
  readonly labelValues: readonly string[]
  /** Observations at or below each bound, then all of them: one longer than `bounds`. */
  readonly cumulativeCounts: readonly number[]
  readonly count: number
  readonly sum: number
}
