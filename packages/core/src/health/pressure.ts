import { getHeapStatistics } from 'node:v8'
import { down, type CheckOptions } from './check.ts'
import { percent, type EventLoopReading } from './event-loop.ts'
import { reasonOf } from './reason.ts'
import { requireRange } from '../range.ts'

/** Where each source of pressure reads 1. Below, a source reads its share of the limit. */
export interface PressureLimits {
  /** Event-loop delay, in milliseconds. Above 0. @default 250 */
  readonly maxDelayMs?: number
  /** Event-loop utilization, 0–1. Above 0. @default 0.98 */
  readonly maxUtilization?: number
  /** Heap used of the heap that V8 may have, 0–1. Above 0. @default 0.9 */
  readonly maxHeapRatio?: number
  /** Level from which a readiness check named `pressure` is down, 0–1. @default none: it only measures */
  readonly shedAt?: number
  /** Level below which it is up again, at most `shedAt`. @default 0.8 × `shedAt` */
  readonly resumeAt?: number
}

/** One thing that can be too much. */
export interface PressureSource {
  readonly name: string
  /** 0 for none, 1 for as much as can be borne; clamped. */
  readonly level: number
  /** What was measured, in words. */
  readonly detail: string
}

/** How much this process has on its hands. */
export interface PressureReading {
  /** The level of the source under most pressure, 0–1. */
  readonly level: number
  /** Every source, the worst first. */
  readonly sources: readonly PressureSource[]
  /** The sources that read 0.8 or more, in words. */
  readonly reasons: readonly string[]
}

/** Reads all sources when asked. A source that throws reads 0 and says so: pressure only reports. */
export class PressureGauge {
  readonly #limits: Required<Pick<PressureLimits, 'maxDelayMs' | 'maxUtilization' | 'maxHeapRatio'>>
  readonly #eventLoop: (() => EventLoopReading) | undefined
  readonly #custom = new Map<string, () => number>()

  constructor(limits: PressureLimits, eventLoop?: () => EventLoopReading) {
    const { maxDelayMs = 250, maxUtilization = 0.98, maxHeapRatio = 0.9 } = limits
    requireRange('pressure.maxDelayMs', maxDelayMs, Number.MIN_VALUE)
    requireRange('pressure.maxUtilization', maxUtilization, Number.MIN_VALUE, 1)
    requireRange('pressure.maxHeapRatio', maxHeapRatio, Number.MIN_VALUE, 1)
    this.#limits = { maxDelayMs, maxUtilization, maxHeapRatio }
    this.#eventLoop = eventLoop
  }

  /** @throws RangeError when the name is taken. */
  add(name: string, read: () => number): Disposable {
    if (BUILT_IN.has(name) || this.#custom.has(name)) {
      throw new RangeError(`name of a pressure source must be unique, got ${name} again`)
    }
    this.#custom.set(name, read)
    return { [Symbol.dispose]: () => void this.#custom.delete(name) }
  }

  read(): PressureReading {
    const sources = [...this.#eventLoopSources(), this.#heapSource(), ...this.#customSources()]
    sources.sort((a, b) => b.level - a.level)
    const reasons = sources.filter(({ level }) => level >= 0.8).map(({ detail }) => detail)
    return { level: sources[0]?.level ?? 0, sources, reasons }
  }

  *#eventLoopSources(): Iterable<PressureSource> {
    if (this.#eventLoop === undefined) return
    const { delayMs, utilization } = this.#eventLoop()
    yield {
      name: 'event-loop-delay',
      level: clamp(delayMs / this.#limits.maxDelayMs),
      detail: `the event loop is ${Math.round(delayMs)} ms late`,
    }
    yield {
      name: 'event-loop-utilization',
      level: clamp(utilization / this.#limits.maxUtilization),
      detail: `the event loop is ${percent(utilization)} busy`,
    }
  }

  #heapSource(): PressureSource {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    const ratio = used / limit
    return {
      name: 'heap',
      level: clamp(ratio / this.#limits.maxHeapRatio),
      detail: `the heap is ${percent(ratio)} full`,
    }
  }

  *#customSources(): Iterable<PressureSource> {
    for (const [name, read] of this.#custom) {
      try {
        const level = clamp(read())
        yield { name, level, detail: `${name} is at ${percent(level)}` }
      } catch (error) {
        yield { name, level: 0, detail: `${name} could not be read: ${reasonOf(error)}` }
      }
    }
  }
}

/** The readiness check that sheds load: down from `shedAt` on, up again below `resumeAt`. */
export function pressureCheck(
  read: () => PressureReading,
  isShedding: () => boolean,
  shedAt: number,
  resumeAt: number = shedAt * 0.8,
): CheckOptions {
  requireRange('pressure.shedAt', shedAt, Number.MIN_VALUE, 1)
  requireRange('pressure.resumeAt', resumeAt, 0, shedAt)
  return {
    name: 'pressure',
    kind: 'readiness',
    everyMs: 1_000,
    check() {
      const { level, sources } = read()
      if (isShedding() ? level < resumeAt : level < shedAt) return true
      return down(`pressure is ${percent(level)}: ${sources[0]?.detail}`)
    },
  }
}

/** `NaN` is no pressure. */
function clamp(level: number): number {
  return level > 0 ? Math.min(1, level) : 0
}

const BUILT_IN: ReadonlySet<string> = new Set([
  'event-loop-delay',
  'event-loop-utilization',
  'heap',
])
