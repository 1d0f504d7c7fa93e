import { DharmaError } from '@dharma/core'

/** No lease came free in time. `cause` is the latest failure to open a resource, if there was one. */
export class AcquireTimeoutError extends DharmaError {
  override readonly name = 'AcquireTimeoutError'
  readonly code = 'DHARMA_POOL_ACQUIRE_TIMEOUT'
  readonly pool: string
  readonly timeoutMs: number
  /** Resources that others held when the wait ended. */
  readonly leased: number
  /** Waiters left behind this one. */
  readonly waiting: number

  constructor(
    pool: string,
    timeoutMs: number,
    { leased, waiting }: { readonly leased: number; readonly waiting: number },
    options?: ErrorOptions,
  ) {
    super(
      `${pool} had no resource to lend within ${timeoutMs} ms (${leased} leased, ${waiting} still waiting)`,
      options,
    )
    this.pool = pool
    this.timeoutMs = timeoutMs
    this.leased = leased
    this.waiting = waiting
  }
}

/** As many callers wait already as `maxWaiting` allows. */
export class PoolQueueFullError extends DharmaError {
  override readonly name = 'PoolQueueFullError'
  readonly code = 'DHARMA_POOL_QUEUE_FULL'
  readonly pool: string
  readonly maxWaiting: number

  constructor(pool: string, maxWaiting: number, options?: ErrorOptions) {
    super(`${pool} has ${maxWaiting} waiting already, which is its limit`, options)
    this.pool = pool
    this.maxWaiting = maxWaiting
  }
}

/** A lease was used or given back after its end: by then the resource may belong to another. */
export class LeaseEndedError extends DharmaError {
  override readonly name = 'LeaseEndedError'
  readonly code = 'DHARMA_POOL_LEASE_ENDED'
  readonly pool: string

  constructor(pool: string, attempted: string, options?: ErrorOptions) {
    super(`${attempted} on a lease of ${pool} that was released or destroyed before`, options)
    this.pool = pool
  }
}

/** The factory cannot open resources at present. `cause` is what it threw last. */
export class CreateFailedError extends DharmaError {
  override readonly name = 'CreateFailedError'
  readonly code = 'DHARMA_POOL_CREATE_FAILED'
  readonly pool: string
  /** Attempts that failed in a row. */
  readonly failures: number
  /** When the pool tries again by itself. */
  readonly retryAfterMs: number

  constructor(pool: string, failures: number, retryAfterMs: number, options?: ErrorOptions) {
    super(
      `${pool} could not open a resource (${failures} failures in a row, next attempt in ${Math.ceil(retryAfterMs)} ms)`,
      options,
    )
    this.pool = pool
    this.failures = failures
    this.retryAfterMs = retryAfterMs
  }
}
