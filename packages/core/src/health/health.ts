import { systemClock, type Clock } from '../clock.ts'
import { ClosedError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import { noopMetrics } from '../noop-metrics.ts'
import { CheckRunner, type RunEnd } from './check-runner.ts'
import type { CheckHandle, CheckOptions, CheckResult, HealthKind, HealthStatus } from './check.ts'
import { combine, isOk } from './combine.ts'
import { EventLoopMonitor, eventLoopCheck, type EventLoopLimits } from './event-loop.ts'
import { observeHealth, type HealthMetrics } from './health-metrics.ts'
import {
  PressureGauge,
  pressureCheck,
  type PressureLimits,
  type PressureReading,
} from './pressure.ts'
import { reasonOf, redact } from './reason.ts'

export interface HealthOptions {
  /** @default systemClock */
  readonly clock?: Clock
  /** Gets the state of every check, pressure and the event loop. @default none */
  readonly metrics?: Metrics
  /** Limits of the built-in liveness check; `false` leaves the event loop unwatched. @default {} */
  readonly eventLoop?: EventLoopLimits | false
  /** Limits of pressure, and whether readiness sheds load by it. @default {} */
  readonly pressure?: PressureLimits
}

/** What a probe is told. */
export interface HealthReport {
  readonly kind: HealthKind
  readonly status: HealthStatus
  /** Whether a probe should be answered with success. */
  readonly isOk: boolean
  /** Why `status` is not `up`. */
  readonly reason?: string
  /** What it was made of, in order of registration. */
  readonly checks: readonly CheckResult[]
}

/** A check, or a kind as a whole, has another status than before. */
export type HealthChange =
  | {
      readonly type: 'check'
      readonly result: CheckResult
      readonly from: HealthStatus
      readonly to: HealthStatus
    }
  | {
      readonly type: 'kind'
      readonly kind: HealthKind
      readonly from: HealthStatus
      readonly to: HealthStatus
    }

/** Checks run in the background; a probe only reads what is known. */
export interface Health extends AsyncDisposable {
  /**
   * Begins to look, at once and then every `everyMs`.
   * @throws RangeError when an option is out of range or the name is taken; ClosedError after close.
   */
  register(options: CheckOptions): CheckHandle
  /** Readiness also needs every startup check to have passed. */
  report(kind: HealthKind): HealthReport
  /** Measured now; cheap enough to ask for each request: 1 µs, 2 µs with a source of pressure. */
  pressure(): PressureReading
  /** Adds a source of pressure, 0–1, for example the share of a queue that is full. */
  addPressure(name: string, read: () => number): Disposable
  /** Readiness is down from now on, whatever the checks say: the first stage of a shutdown. */
  drain(reason?: string): void
  /** Tells of every change. A listener that throws is reported as a process warning. */
  onChange(listener: (change: HealthChange) => void): Disposable
  /** Ends all checks and timers; readiness stays down. */
  close(): Promise<void>
}

/** Health of this process. Holds only timers that do not keep the process alive. */
export function createHealth(options: HealthOptions = {}): Health {
  return new CheckedHealth(options)
}

class CheckedHealth implements Health {
  readonly #clock: Clock
  readonly #metrics: HealthMetrics
  readonly #monitor: EventLoopMonitor | undefined
  readonly #gauge: PressureGauge
  readonly #runners = new Map<string, CheckRunner>()
  readonly #listeners = new Set<(change: HealthChange) => void>()
  readonly #known: Record<HealthKind, HealthStatus> = {
    liveness: 'up',
    readiness: 'up',
    startup: 'up',
  }
  #drainReason: string | undefined
  #isClosed = false

  constructor({
    clock = systemClock,
    metrics = noopMetrics,
    eventLoop = {},
    pressure = {},
  }: HealthOptions) {
    this.#clock = clock
    const monitor =
      eventLoop === false
        ? undefined
        : new EventLoopMonitor(clock, eventLoop.everyMs ?? 1_000, eventLoop.probe)
    const read = monitor && (() => monitor.reading)
    this.#monitor = monitor
    this.#gauge = new PressureGauge(pressure, read)
    this.#metrics = observeHealth(metrics, { pressure: () => this.pressure(), eventLoop: read })
    if (monitor !== undefined && eventLoop !== false) {
      this.register(eventLoopCheck(monitor, eventLoop))
    }
    const { shedAt, resumeAt } = pressure
    if (shedAt === undefined) return
    const isShedding = (): boolean => handle?.result.status === 'down'
    let handle: CheckHandle | undefined
    handle = this.register(pressureCheck(() => this.pressure(), isShedding, shedAt, resumeAt))
  }

  register(options: CheckOptions): CheckHandle {
    if (this.#isClosed) throw new ClosedError('health')
    const key = keyOf(options.kind, options.name)
    if (this.#runners.has(key)) {
      throw new RangeError(
        `name of a ${options.kind} check must be unique, got ${options.name} again`,
      )
    }
    const runner = new CheckRunner(options, this.#clock, (...end) => this.#onRunEnd(...end))
    this.#runners.set(key, runner)
    this.#metrics.onState(runner.result)
    this.#publishKinds()
    void runner.refresh()
    const unregister = (): void => {
      runner.stop()
      if (this.#runners.get(key) !== runner) return
      this.#runners.delete(key)
      this.#metrics.onUnregister(runner.result)
      this.#publishKinds()
    }
    return {
      get result() {
        return runner.result
      },
      refresh: () => runner.refresh(),
      unregister,
      [Symbol.dispose]: unregister,
    }
  }

  report(kind: HealthKind): HealthReport {
    const checks = this.#resultsOf(kind)
    const isDraining = kind === 'readiness' && this.#drainReason !== undefined
    const status = isDraining ? 'down' : combine(checks)
    const reason = isDraining ? this.#drainReason : reasonFor(status, checks)
    return {
      kind,
      status,
      isOk: isOk(kind, status),
      ...(reason !== undefined && { reason }),
      checks,
    }
  }

  pressure(): PressureReading {
    return this.#gauge.read()
  }

  addPressure(name: string, read: () => number): Disposable {
    return this.#gauge.add(name, read)
  }

  drain(reason = 'shutting down'): void {
    this.#drainReason = redact(reason)
    this.#publishKinds()
  }

  onChange(listener: (change: HealthChange) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const runner of this.#runners.values()) runner.stop()
    this.#monitor?.[Symbol.dispose]()
    this.#metrics[Symbol.dispose]()
    if (this.#drainReason === undefined) this.drain('closed')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #resultsOf(kind: HealthKind): CheckResult[] {
    const results = Array.from(this.#runners.values(), (runner) => runner.result)
    return results.filter(
      (result) =>
        result.kind === kind ||
        (kind === 'readiness' && result.kind === 'startup' && !isOk('startup', result.status)),
    )
  }

  #onRunEnd(runner: CheckRunner, end: RunEnd): void {
    const { result } = runner
    this.#metrics.onRun(result, end)
    if (result.status === end.before) return
    this.#metrics.onState(result)
    this.#emit({ type: 'check', result, from: end.before, to: result.status })
    this.#publishKinds()
  }

  #publishKinds(): void {
    for (const kind of KINDS) {
      const from = this.#known[kind]
      const to = this.report(kind).status
      this.#known[kind] = to
      if (from !== to) this.#emit({ type: 'kind', kind, from, to })
    }
  }

  #emit(change: HealthChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        process.emitWarning(`a listener of health changes threw: ${reasonOf(error)}`)
      }
    }
  }
}

function keyOf(kind: HealthKind, name: string): string {
  return `${kind} ${name}`
}

function reasonFor(status: HealthStatus, checks: readonly CheckResult[]): string | undefined {
  if (status === 'up') return undefined
  const reasons = checks
    .filter((check) => check.status !== 'up')
    .map(({ name, reason, status: own }) => `${name}: ${reason ?? own}`)
  return reasons.join('; ')
}

const KINDS: readonly HealthKind[] = ['liveness', 'readiness', 'startup']
