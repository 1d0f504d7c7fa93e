export { ClosedError, DharmaError, TimeoutError, toError } from './errors.ts'
export { sleepOn, systemClock, type Clock, type Timer, type TimerOptions } from './clock.ts'
export {
  EXPOSITION_CONTENT_TYPES,
  type BoundCounter,
  type BoundGauge,
  type BoundHistogram,
  type Counter,
  type ExemplarLabels,
  type ExpositionFormat,
  type Gauge,
  type GaugeOptions,
  type Histogram,
  type HistogramOptions,
  type HistogramReading,
  type HistogramSeriesReading,
  type MetricOptions,
  type MetricReading,
  type Metrics,
  type ScalarReading,
  type ScalarSeriesReading,
} from './metrics.ts'
export { noopMetrics } from './noop-metrics.ts'
export { silentLogger, type LogMethod, type Logger } from './logger.ts'
export { Secret } from './secret.ts'
