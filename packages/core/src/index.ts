export { ClosedError, DharmaError, TimeoutError, toError } from './errors.ts'
export { sleepOn, systemClock, type Clock, type Timer, type TimerOptions } from './clock.ts'
export type {
  BoundCounter,
  BoundGauge,
  BoundHistogram,
  Counter,
  Gauge,
  GaugeOptions,
  Histogram,
  HistogramOptions,
  MetricOptions,
  Metrics,
} from './metrics.ts'
