import type { Metrics } from '../metrics.ts'
import type { CheckResult } from './check.ts'
import type { RunEnd } from './check-runner.ts'
import { isOk } from './combine.ts'
import type { EventLoopReading } from './event-loop.ts'
import type { PressureReading } from './pressure.ts'

/** What {@link observeHealth} reads at scrape. */
export interface HealthReadings {
  readonly pressure: () => PressureReading
  readonly eventLoop: (() => EventLoopReading) | undefined
}

/** Counts what checks do: it is told each end of a run and each change. Disposing ends the reads at scrape. */
export interface HealthMetrics extends Disposable {
  onRun(result: CheckResult, end: RunEnd): void
  onState(result: CheckResult): void
  onUnregister(result: CheckResult): void
}

/** Registers the metrics of health. */
export function observeHealth(metrics: Metrics, readings: HealthReadings): HealthMetrics {
  const labels = ['kind', 'check']
  const up = metrics.gauge('dharma_health_check_up', {
    help: 'Whether a health check is up (1) or not (0).',
    labels,
  })
  const failures = metrics.counter('dharma_health_check_failures_total', {
    help: 'Runs of a health check that failed or timed out.',
    labels,
  })
  const durations = metrics.histogram('dharma_health_check_duration_seconds', {
    help: 'How long runs of a health check took.',
    labels,
  })
  const reads = new DisposableStack()
  const pressure = metrics.gauge('dharma_health_pressure_ratio', {
    help: 'The level of the source that is under most pressure, 0 to 1.',
  })
  reads.use(pressure.readFrom(() => readings.pressure().level))
  const { eventLoop } = readings
  if (eventLoop !== undefined) {
    const delay = metrics.gauge('dharma_event_loop_delay_seconds', {
      help: 'How late the event loop was over the latest window, 99th percentile.',
    })
    const utilization = metrics.gauge('dharma_event_loop_utilization_ratio', {
      help: 'The fraction of the latest window in which the event loop was busy.',
    })
    reads.use(delay.readFrom(() => eventLoop().delayMs / 1_000))
    reads.use(utilization.readFrom(() => eventLoop().utilization))
  }
  return {
    onRun({ kind, name }, { isFailure, durationMs }) {
      if (isFailure) failures.bind(kind, name).inc()
      durations.bind(kind, name).observe(durationMs / 1_000)
    },
    onState({ kind, name, status }) {
      up.bind(kind, name).set(isOk(kind, status) ? 1 : 0)
    },
    // A series cannot be taken back; `NaN` satisfies no alert.
    onUnregister: ({ kind, name }) => up.bind(kind, name).set(Number.NaN),
    [Symbol.dispose]: () => reads.dispose(),
  }
}
