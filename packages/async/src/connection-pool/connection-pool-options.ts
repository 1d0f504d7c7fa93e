import { systemClock, type Clock, type Metrics } from '@dharma/core'

/** How many resources a pool may hold. */
export interface PoolLimits {
  /** Resources kept open, even idle, from the first `acquire` or `connect` on. From 0 to `max`. @default 0 */
  readonly min?: number
  /** Resources open at most, those being opened or closed included. At least 1. @default 10 */
  readonly max?: number
}

/** Settings of a {@link ConnectionPool}. `Infinity` turns a timeout off. */
export interface ConnectionPoolOptions extends PoolLimits {
  /** Stands in errors, metrics and health. @default 'pool' */
  readonly name?: string
  /** Longest wait for a lease, unless `acquire` says otherwise. Above 0. @default 30_000 */
  readonly acquireTimeoutMs?: number
  /** Waiters at most; further ones are refused at once. At least 0. @default 10_000 */
  readonly maxWaiting?: number
  /** Longest attempt to open a resource; then its signal aborts. Above 0. @default 10_000 */
  readonly createTimeoutMs?: number
  /** Resources being opened at once, at most. At least 1. @default 4 */
  readonly createConcurrency?: number
  /** Pause after a first failed attempt, doubled by each further one. Above 0. @default 10 */
  readonly createBackoffBaseMs?: number
  /** Longest pause between failed attempts. At least `createBackoffBaseMs`. @default 5_000 */
  readonly createBackoffMaxMs?: number
  /**
   * What a failed attempt means to waiters while no resource is left that could come back to them:
   * `wait` until their deadline, while attempts go on, or `reject` at once. @default 'wait'
   */
  readonly onCreateFailure?: 'wait' | 'reject'
  /** Idle time after which a resource is validated before it is lent; 0 is always. At least 0. @default 30_000 */
  readonly validateAfterIdleMs?: number
  /** Longest validation or reset; then the resource is destroyed. Above 0. @default 2_000 */
  readonly checkTimeoutMs?: number
  /** How long a resource being destroyed counts against `max` at most. Above 0. @default 1_000 */
  readonly destroyTimeoutMs?: number
  /** Age after which a resource is not lent again. Above 0. @default 1_800_000 (30 min) */
  readonly maxLifetimeMs?: number
  /**
   * Fraction of `maxLifetimeMs` by which lifetimes are shortened at random, so that resources opened
   * together do not end together. From 0 to 1. @default 0.1
   */
  readonly lifetimeJitterRatio?: number
  /** Idle time after which a resource above `min` is closed. Above 0. @default 60_000 */
  readonly idleTimeoutMs?: number
  /**
   * Lease time after which a leak is reported with the borrower's stack. Capturing it costs about a
   * microsecond a lease, so it is off unless set. Above 0. @default Infinity
   */
  readonly leakAfterMs?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** Uniform in [0, 1): jitter of lifetimes and of pauses. @default Math.random */
  readonly random?: () => number
  /** Where the pool's counters appear. @default none */
  readonly metrics?: Metrics | undefined
}

/** {@link ConnectionPoolOptions}, complete and checked. */
export type PoolSettings = Required<ConnectionPoolOptions>

/** @throws RangeError naming option, limit and value. */
export function resolvePoolOptions(options: ConnectionPoolOptions): PoolSettings {
  const {
    name = 'pool',
    min = 0,
    max = 10,
    acquireTimeoutMs = 30_000,
    maxWaiting = 10_000,
    createTimeoutMs = 10_000,
    createConcurrency = 4,
    createBackoffBaseMs = 10,
    createBackoffMaxMs = 5_000,
    onCreateFailure = 'wait',
    validateAfterIdleMs = 30_000,
    checkTimeoutMs = 2_000,
    destroyTimeoutMs = 1_000,
    maxLifetimeMs = 1_800_000,
    lifetimeJitterRatio = 0.1,
    idleTimeoutMs = 60_000,
    leakAfterMs = Infinity,
    clock = systemClock,
    random = Math.random,
    metrics,
  } = options
  checkPoolLimits(min, max)
  checkCount('maxWaiting', maxWaiting, 0)
  checkCount('createConcurrency', createConcurrency, 1)
  const durations = {
    acquireTimeoutMs,
    createTimeoutMs,
    createBackoffBaseMs,
    createBackoffMaxMs,
    checkTimeoutMs,
    destroyTimeoutMs,
    maxLifetimeMs,
    idleTimeoutMs,
    leakAfterMs,
  }
  for (const [option, value] of Object.entries(durations)) checkAbove0(option, value)
  if (!(createBackoffMaxMs >= createBackoffBaseMs && createBackoffMaxMs < Infinity)) {
    throw new RangeError(
      `createBackoffMaxMs must be finite and at least createBackoffBaseMs (${createBackoffBaseMs}), got ${createBackoffMaxMs}`,
    )
  }
  if (!(validateAfterIdleMs >= 0)) {
    throw new RangeError(`validateAfterIdleMs must be at least 0, got ${validateAfterIdleMs}`)
  }
  if (!(lifetimeJitterRatio >= 0 && lifetimeJitterRatio <= 1)) {
    throw new RangeError(`lifetimeJitterRatio must be from 0 to 1, got ${lifetimeJitterRatio}`)
  }
  if (!['wait', 'reject'].includes(onCreateFailure)) {
    throw new RangeError(`onCreateFailure must be 'wait' or 'reject', got '${onCreateFailure}'`)
  }
  return {
    name,
    min,
    max,
    maxWaiting,
    createConcurrency,
    onCreateFailure,
    validateAfterIdleMs,
    lifetimeJitterRatio,
    clock,
    random,
    metrics,
    ...durations,
  }
}

/** @throws RangeError unless `min` and `max` are whole, 0 ≤ min ≤ max and max ≥ 1. */
export function checkPoolLimits(min: number, max: number): void {
  checkCount('max', max, 1)
  checkCount('min', min, 0)
  if (min > max) throw new RangeError(`min must be at most max (${max}), got ${min}`)
}

/** @throws RangeError unless `value` is above 0; `Infinity` passes. */
export function checkAbove0(option: string, value: number): void {
  if (!(value > 0)) throw new RangeError(`${option} must be above 0, got ${value}`)
}

function checkCount(option: string, value: number, least: number): void {
  if (value === Infinity && option === 'maxWaiting') return
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${option} must be a whole number of at least ${least}, got ${value}`)
  }
}
