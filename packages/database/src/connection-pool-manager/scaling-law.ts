import type { LoadSample } from './load-window.ts'

export interface ScalingLimits {
  /** Never fewer. At least 1. */
  readonly min: number
  /** Never more; the server's limits may ask for less. At least `min`. */
  readonly max: number
}

/** What the law sees at each look, four times a second. */
export interface ScalingObservation extends LoadSample {
  /** Mean number of leases out. */
  readonly leased: number
  /** What the server leaves to this pool at present. */
  readonly ceiling: number
  /** Whether the server refused a connection since the last look because it had no place. */
  readonly wasRefused: boolean
}

/** Why a size is what it is. */
export type ScalingReason =
  | 'steady'
  | 'waiting'
  | 'saturated'
  | 'idle'
  | 'probe'
  | 'probe failed'
  | 'refused'
  | 'ceiling'

export interface ScalingDecision {
  readonly size: number
  readonly reason: ScalingReason
}

/** A shorter wait is none. */
const SHORT_WAIT_MS = 5
const WAIT_SHARE_OF_SERVICE = 0.2
/** Leases this much longer than the shortest mean mean that the server, not the pool, is short of something. */
const SATURATED = 1.3
const HEADROOM = 1.2
/** In one step at most, so that a burst of a moment opens few. */
const GROWTH = 1.5
const HOT_LOOKS = 2
const HALF_USE = 0.5
const IDLE_MS = 30_000
const SHRINK = 0.85
const PROBE_EVERY_MS = 60_000
const MAX_PROBE_EVERY_MS = 960_000
const PROBE_SHRINK = 0.9
/** How long a smaller size must do before it counts as enough. */
const PROBE_MS = 5_000
const FIRST_COOL_MS = 5_000
const MAX_COOL_MS = 60_000
/** The shortest mean lease is forgotten slowly, so that a heavier workload does not look like a tired server for ever. */
const BEST_DECAY = 1.002

/**
 * How many connections a pool should have, from the time its callers wait: more while they do and
 * the server is not slowed down by it, fewer when half of them lie idle, and now and then one tenth
 * fewer to see whether that does too. It knows no clock and no pool: time comes with the observations.
 */
export class ScalingLaw {
  readonly #limits: ScalingLimits
  #size: number
  #nowMs = 0
  #hotLooks = 0
  #bestServiceMs = Infinity
  #serviceMs = 0
  #idleSinceMs: number | undefined
  #calmSinceMs = 0
  #probeEveryMs = PROBE_EVERY_MS
  #probe: { readonly fromSize: number; readonly sinceMs: number } | undefined
  #coolMs = FIRST_COOL_MS
  #coolUntilMs = -Infinity

  /** @throws RangeError naming limit and value */
  constructor(limits: ScalingLimits, startSize: number) {
    for (const [name, value, least] of [
      ['min', limits.min, 1],
      ['max', limits.max, limits.min],
    ] as const) {
      if (!Number.isSafeInteger(value) || value < least) {
        throw new RangeError(`${name} must be a whole number of at least ${least}, got ${value}`)
      }
    }
    this.#limits = limits
    this.#size = Math.min(limits.max, Math.max(limits.min, startSize))
  }

  get size(): number {
    return this.#size
  }

  /** Takes in one look and says what size to have from now on. */
  observe(seen: ScalingObservation): ScalingDecision {
    this.#nowMs += seen.elapsedMs
    this.#learn(seen)
    const { size, reason } = this.#decide(seen)
    const { min, max } = this.#limits
    const most = Math.max(min, Math.min(max, seen.ceiling))
    const isCut = size > most
    this.#size = Math.max(min, Math.min(most, size))
    return { size: this.#size, reason: isCut ? 'ceiling' : reason }
  }

  #decide(seen: ScalingObservation): ScalingDecision {
    if (seen.wasRefused) return this.#refused()
    const isWaiting =
      seen.waitP95Ms > Math.max(SHORT_WAIT_MS, WAIT_SHARE_OF_SERVICE * this.#serviceMs)
    if (isWaiting) return this.#waited(seen)
    this.#hotLooks = 0
    const isIdle = seen.leased < HALF_USE * this.#size
    if (!isIdle) this.#idleSinceMs = undefined
    else this.#idleSinceMs ??= this.#nowMs
    if (this.#probe !== undefined) this.#judgeProbe(this.#probe)
    if (this.#idleSinceMs !== undefined && this.#nowMs - this.#idleSinceMs >= IDLE_MS) {
      this.#idleSinceMs = this.#nowMs
      return this.#shrink(SHRINK, 'idle', seen)
    }
    if (this.#probe === undefined && this.#nowMs - this.#calmSinceMs >= this.#probeEveryMs) {
      this.#calmSinceMs = this.#nowMs
      const fromSize = this.#size
      const decision = this.#shrink(PROBE_SHRINK, 'probe', seen)
      if (decision.size < fromSize) this.#probe = { fromSize, sinceMs: this.#nowMs }
      return decision
    }
    return { size: this.#size, reason: 'steady' }
  }

  #waited(seen: ScalingObservation): ScalingDecision {
    this.#idleSinceMs = undefined
    this.#calmSinceMs = this.#nowMs
    if (this.#probe !== undefined) {
      // It was needed after all: not to be tried again for longer.
      const { fromSize } = this.#probe
      this.#probe = undefined
      this.#probeEveryMs = Math.min(MAX_PROBE_EVERY_MS, 2 * this.#probeEveryMs)
      return { size: Math.max(this.#size, fromSize), reason: 'probe failed' }
    }
    this.#hotLooks += 1
    if (this.#hotLooks < HOT_LOOKS || this.#nowMs < this.#coolUntilMs) {
      return { size: this.#size, reason: 'steady' }
    }
    if (this.#serviceMs >= SATURATED * this.#bestServiceMs) {
      return { size: this.#size, reason: 'saturated' }
    }
    const wanted = Math.max(this.#size + 1, this.#demand(seen))
    const reachable = Math.max(this.#size + 1, Math.ceil(this.#size * GROWTH))
    return { size: Math.min(wanted, reachable), reason: 'waiting' }
  }

  #refused(): ScalingDecision {
    this.#hotLooks = 0
    if (this.#nowMs < this.#coolUntilMs) return { size: this.#size, reason: 'refused' }
    // Refused again soon after it had cooled: the server is crowded for longer.
    const isAgain = this.#nowMs < this.#coolUntilMs + this.#coolMs
    this.#coolMs = isAgain ? Math.min(MAX_COOL_MS, 2 * this.#coolMs) : FIRST_COOL_MS
    this.#coolUntilMs = this.#nowMs + this.#coolMs
    return { size: Math.floor(this.#size / 2), reason: 'refused' }
  }

  #shrink(factor: number, reason: ScalingReason, seen: ScalingObservation): ScalingDecision {
    const least = Math.max(this.#limits.min, Math.ceil(seen.leased), this.#demand(seen))
    const size = Math.min(this.#size, Math.max(least, Math.floor(this.#size * factor)))
    return { size, reason: size < this.#size ? reason : 'steady' }
  }

  #judgeProbe({ sinceMs }: { readonly sinceMs: number }): void {
    if (this.#nowMs - sinceMs < PROBE_MS) return
    this.#probe = undefined
    this.#probeEveryMs = PROBE_EVERY_MS
  }

  /** Connections that the callers of the last look keep busy, and a fifth more. Source: Little's law. */
  #demand({ arrivals, elapsedMs }: ScalingObservation): number {
    return elapsedMs === 0 ? 0 : Math.ceil((arrivals / elapsedMs) * this.#serviceMs * HEADROOM)
  }

  #learn({ serviceMs }: ScalingObservation): void {
    this.#bestServiceMs *= BEST_DECAY
    if (serviceMs === undefined) return
    this.#serviceMs = serviceMs
    this.#bestServiceMs = Math.min(this.#bestServiceMs, serviceMs)
  }
}
