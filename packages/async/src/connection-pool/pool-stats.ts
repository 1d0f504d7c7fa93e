/** How many resources are in which state, and how many callers wait. */
export interface PoolCounts {
  /** Resources open: idle, leased and checking. */
  readonly size: number
  readonly idle: number
  readonly leased: number
  /** Being validated or reset. */
  readonly checking: number
  /** Being opened. */
  readonly creating: number
  /** Being destroyed, still counted against `max`. */
  readonly closing: number
  readonly waiting: number
  readonly min: number
  readonly max: number
}

/** A pool at one moment, and its totals since it was made. */
export interface PoolStats extends PoolCounts {
  /** Waits for a lease over the last 10 to 20 s, those of 0 included, to about 6 %. */
  readonly waitMs: { readonly p50: number; readonly p95: number; readonly p99: number }
  readonly totals: PoolTotals
}

/** What a pool has counted since it was made. */
export interface PoolTotals {
  /** Leases given. */
  acquired: number
  /** Leases that had to be waited for. */
  waited: number
  /** Waiters that met their deadline. */
  timedOut: number
  /** Waiters whose signal aborted. */
  aborted: number
  /** Callers refused: queue full, factory failing, or pool closed while they waited. */
  refused: number
  created: number
  createFailed: number
  destroyed: number
  /** Resources that did not pass validation or reset. */
  invalid: number
  leaked: number
}

/** What a scaler needs to know, averaged over the last seconds. */
export interface PoolLoad {
  /** Calls of `acquire`, a second. */
  readonly arrivalsPerSecond: number
  /** Mean number of resources leased. */
  readonly meanLeased: number
  /** Mean length of a lease (the service time), by Little's law; 0 while unknown. */
  readonly serviceTimeMs: number
  /** `meanLeased` ÷ `max`, 0–1; may pass 1 for a while after `max` was lowered. */
  readonly utilization: number
  readonly waiting: number
  readonly waitP95Ms: number
}

/** Anything with a size that a scaler may set. */
export interface Scalable {
  readonly name: string
  /** Members at present. */
  readonly size: number
  readonly limits: { readonly min: number; readonly max: number }
  load(): PoolLoad
  resize(limits: { readonly min?: number; readonly max?: number }): void
}

/** `down`: closed, or nothing open and the factory fails. `degraded`: works, but the factory fails or callers are refused. */
export interface PoolHealth {
  readonly status: 'up' | 'degraded' | 'down'
  /** One sentence; absent when all is well. */
  readonly reason?: string
  /** What the factory threw last, while it fails. */
  readonly cause?: Error
}

/** All totals at 0. */
export function zeroTotals(): PoolTotals {
  return {
    acquired: 0,
    waited: 0,
    timedOut: 0,
    aborted: 0,
    refused: 0,
    created: 0,
    createFailed: 0,
    destroyed: 0,
    invalid: 0,
    leaked: 0,
  }
}
