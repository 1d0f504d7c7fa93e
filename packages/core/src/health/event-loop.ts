import { monitorEventLoopDelay, performance, type EventLoopUtilization } from 'node:perf_hooks'
import type { Clock } from '../clock.ts'
import { down, type CheckOptions } from './check.ts'
import { requireRange } from '../range.ts'

/** How the event loop did over one window. */
export interface EventLoopReading {
  /** How late the loop came to a timer, 99th percentile over the window, in milliseconds. */
  readonly delayMs: number
  /** The fraction of the window in which the loop was not idle, 0–1. */
  readonly utilization: number
}

/** Measures the loop; each {@link EventLoopProbe.take} ends one window and begins the next. */
export interface EventLoopProbe extends Disposable {
  take(): EventLoopReading
}

/** What the built-in liveness check of the event loop allows. */
export interface EventLoopLimits {
  /** Delay above which a window is bad, in milliseconds. At least 0. @default 1_000 */
  readonly maxDelayMs?: number
  /**
   * Utilization above which a window is bad, 0–1; 1 turns it off. Keep it above what sheds load,
   * or a restart comes where a pause would have done. @default 0.99
   */
  readonly maxUtilization?: number
  /** Length of a window, in milliseconds. At least 1. @default 1_000 */
  readonly everyMs?: number
  /** Bad windows in a row that make the process not live. At least 1. @default 5 */
  readonly failAfter?: number
  /** Measures the loop. @default the loop of this thread, by `node:perf_hooks` */
  readonly probe?: EventLoopProbe
}

/** Keeps the reading of the latest whole window: deltas, never means since boot. */
export class EventLoopMonitor implements Disposable {
  readonly #stop: () => void
  #reading: EventLoopReading = { delayMs: 0, utilization: 0 }

  constructor(clock: Clock, everyMs: number, probe: EventLoopProbe = createEventLoopProbe()) {
    requireRange('everyMs', everyMs, 1)
    let dueMs = clock.monotonicMs() + everyMs
    const interval = clock.setInterval(
      () => {
        const nowMs = clock.monotonicMs()
        const { delayMs, utilization } = probe.take()
        // While the loop is blocked the probe samples nothing, but this very timer comes late too.
        this.#reading = { delayMs: Math.max(delayMs, nowMs - dueMs), utilization }
        dueMs = nowMs + everyMs
      },
      everyMs,
      { keepsAlive: false },
    )
    this.#stop = () => {
      interval.cancel()
      probe[Symbol.dispose]()
    }
  }

  get reading(): EventLoopReading {
    return this.#reading
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}

/** The probe of the thread it is made in. Costs one timer of libuv every 20 ms. */
export function createEventLoopProbe(): EventLoopProbe {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  let since: EventLoopUtilization = performance.eventLoopUtilization()
  delay.enable()
  return {
    take() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, since)
      // The histogram records the whole distance between two samples, so an idle loop shows 20 ms.
      const p99Ms = delay.count === 0 ? 0 : delay.percentile(99) / 1e6
      since = now
      delay.reset()
      return { delayMs: Math.max(0, p99Ms - RESOLUTION_MS), utilization }
    },
    [Symbol.dispose]: () => void delay.disable(),
  }
}

/** The built-in liveness check: the loop came late, or was busy, for several windows in a row. */
export function eventLoopCheck(
  monitor: Pick<EventLoopMonitor, 'reading'>,
  limits: EventLoopLimits = {},
): CheckOptions {
  const { maxDelayMs = 1_000, maxUtilization = 0.99, everyMs = 1_000, failAfter = 5 } = limits
  requireRange('maxDelayMs', maxDelayMs, 0)
  requireRange('maxUtilization', maxUtilization, 0, 1)
  return {
    name: 'event-loop',
    kind: 'liveness',
    everyMs,
    failAfter,
    check() {
      const { delayMs, utilization } = monitor.reading
      if (delayMs > maxDelayMs) {
        return down(`the event loop is ${Math.round(delayMs)} ms late (limit ${maxDelayMs} ms)`)
      }
      if (utilization <= maxUtilization) return true
      return down(
        `the event loop is ${percent(utilization)} busy (limit ${percent(maxUtilization)})`,
      )
    },
  }
}

/** A ratio for people: `97.5 %`. */
export function percent(ratio: number): string {
  return `${Math.round(ratio * 1_000) / 10} %`
}

const RESOLUTION_MS = 20
