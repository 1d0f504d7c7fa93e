import { systemClock, type Clock, type Timer } from '../clock.ts'
import { toError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import { redactText } from '../redact.ts'
import { nextState, type AlertState, type AlertStatus } from './alert-state.ts'
import { checkExpression } from './check-expression.ts'
import type { AlertDefinition, Alerts, AlertSeverity } from './define-alerts.ts'
import { evaluateExpression, LOOKBACK_MS } from './evaluate-expression.ts'
import { selectorsOf, type Expression } from './expression.ts'
import type { PrometheusVersion } from './extrapolated-increase.ts'
import { SampleHistory } from './sample-history.ts'
import { fillSummary } from './summary-text.ts'

export interface AlertEvaluatorOptions {
  /** Where the numbers are read. */
  readonly metrics: Pick<Metrics, 'read'>
  /** @default systemClock */
  readonly clock?: Pick<Clock, 'now' | 'monotonicMs' | 'setTimeout'>
  /** Whose arithmetic counts, where releases of Prometheus differ. @default '3.6' */
  readonly prometheus?: PrometheusVersion
}

/** One alert for one set of labels. */
export interface AlertReading {
  readonly name: string
  readonly severity: AlertSeverity
  /** The summary with the values of its labels. */
  readonly summary: string
  readonly runbook?: string
  /** The values of the labels by which it is told apart. */
  readonly labels: Readonly<Record<string, string>>
  readonly state: AlertState
}

/** An alert stands elsewhere than before. */
export interface AlertChange {
  readonly alert: AlertReading
  readonly from: AlertStatus
  readonly to: AlertStatus
}

/** Alerts that are watched in this process. */
export interface AlertEvaluator extends AsyncDisposable {
  readonly scrapeIntervalMs: number
  /** Alerts that are pending, firing, or were resolved in the last 15 minutes, in order of definition. */
  readings(): AlertReading[]
  /** Those that are firing. */
  firing(): AlertReading[]
  /** Tells of every change. A listener that throws is reported as a process warning. */
  onChange(listener: (change: AlertChange) => void): Disposable
  /** Ends the timer; alerts stay as they are. */
  close(): Promise<void>
}

/**
 * Samples the metrics now and at every scrape interval, and decides on each alert as Prometheus
 * would from these samples. Holds one timer that does not keep the process alive, and as many
 * samples as the longest window needs. What a step of the wall clock does to other timers does not
 * touch it: it measures on the monotonic clock.
 *
 * @throws RangeError when an alert looks at a metric that `metrics` does not have, or not as that kind.
 */
export function createAlertEvaluator(
  alerts: Alerts,
  options: AlertEvaluatorOptions,
): AlertEvaluator {
  return new SamplingEvaluator(alerts, options)
}

class SamplingEvaluator implements AlertEvaluator {
  readonly scrapeIntervalMs: number
  readonly #clock: Pick<Clock, 'now' | 'monotonicMs' | 'setTimeout'>
  readonly #version: PrometheusVersion
  readonly #history: SampleHistory
  readonly #watched: readonly WatchedAlert[]
  readonly #listeners = new Set<(change: AlertChange) => void>()
  readonly #startedAtMs: number
  readonly #startedMonotonicMs: number
  #timer: Timer | undefined
  #isClosed = false

  constructor(
    { definitions, scrapeIntervalMs }: Alerts,
    { metrics, clock = systemClock, prometheus = '3.6' }: AlertEvaluatorOptions,
  ) {
    for (const { name, when } of definitions) {
      checkExpression(when, { alert: name, metrics, scrapeIntervalMs, kinds: new Map() })
    }
    this.scrapeIntervalMs = scrapeIntervalMs
    this.#clock = clock
    this.#version = prometheus
    this.#watched = definitions.map((definition) => ({ definition, instances: new Map() }))
    const expressions = definitions.map(({ when }) => when)
    const keepMs = Math.max(LOOKBACK_MS, ...expressions.map(longestWindowOf))
    const names = new Set(expressions.flatMap(selectorsOf).map(({ name }) => name))
    const longest = Math.max(0, ...expressions.map(longestWindowOf))
    const capacity = Math.ceil(longest / scrapeIntervalMs) + 2
    this.#history = new SampleHistory(metrics, names, capacity, keepMs)
    this.#startedAtMs = clock.now()
    this.#startedMonotonicMs = clock.monotonicMs()
    this.#tick()
  }

  readings(): AlertReading[] {
    return this.#watched.flatMap(({ definition, instances }) =>
      Array.from(instances.values(), (instance) => readingOf(definition, instance)),
    )
  }

  firing(): AlertReading[] {
    return this.readings().filter(({ state }) => state.status === 'firing')
  }

  onChange(listener: (change: AlertChange) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * A timer that fires a little beside its time counts as in time, so that samples lie on a lattice
   * as Prometheus' do and `forMs` is met at the evaluation that it names. One that is late counts
   * as late, and the next is due on the lattice again.
   */
  #tick(): void {
    const interval = this.scrapeIntervalMs
    const elapsedMs = this.#clock.monotonicMs() - this.#startedMonotonicMs
    const turn = Math.round(elapsedMs / interval)
    const isInTime = Math.abs(elapsedMs - turn * interval) <= interval * TOLERANCE
    const reached = isInTime ? turn : Math.floor(elapsedMs / interval)
    this.#timer = this.#clock.setTimeout(() => this.#tick(), (reached + 1) * interval - elapsedMs, {
      keepsAlive: false,
    })
    try {
      this.#evaluate(this.#startedAtMs + (isInTime ? turn * interval : elapsedMs))
    } catch (error) {
      warn('alerts could not be evaluated', error)
    }
  }

  #evaluate(nowMs: number): void {
    this.#history.sample(nowMs)
    const at = { history: this.#history, nowMs, version: this.#version }
    for (const { definition, instances } of this.#watched) {
      const values = evaluateExpression(definition.when, at)
      for (const [key, { labels }] of values) {
        if (!instances.has(key)) instances.set(key, { labels, state: { status: 'inactive' } })
      }
      for (const [key, instance] of instances) {
        const from = instance.state.status
        instance.state = nextState(instance.state, values.get(key)?.value, definition, nowMs)
        const to = instance.state.status
        if (to === 'inactive') instances.delete(key)
        if (from !== to) this.#emit({ alert: readingOf(definition, instance), from, to })
      }
    }
  }

  #emit(change: AlertChange): void {
    for (const listener of this.#listeners) {
      if (this.#isClosed) return
      try {
        listener(change)
      } catch (error) {
        warn('a listener of alerts threw', error)
      }
    }
  }
}

interface WatchedAlert {
  readonly definition: AlertDefinition
  readonly instances: Map<string, AlertInstance>
}

interface AlertInstance {
  readonly labels: Readonly<Record<string, string>>
  state: AlertState
}

function readingOf(definition: AlertDefinition, { labels, state }: AlertInstance): AlertReading {
  const { name, severity, summary, runbook } = definition
  return {
    name,
    severity,
    summary: fillSummary(summary, labels),
    ...(runbook !== undefined && { runbook }),
    labels,
    state,
  }
}

function longestWindowOf(expression: Expression): number {
  if (expression.type === 'value') return 0
  if (expression.type !== 'ratio') return expression.windowMs
  return Math.max(longestWindowOf(expression.dividend), longestWindowOf(expression.divisor))
}

function warn(what: string, error: unknown): void {
  process.emitWarning(redactText(`${what}: ${toError(error).message}`))
}

/** The part of an interval by which a timer may miss its time. */
const TOLERANCE = 0.02
