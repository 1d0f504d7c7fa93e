/** How a pool makes, checks and ends its resources. Every call is bounded by a timeout of the pool. */
export interface ResourceFactory<T> {
  /**
   * Opens one resource. Honour `context.signal`: a resource that arrives after it aborted is destroyed
   * at once and never lent. Two calls must never give the same value.
   */
  create(context: CreateContext): T | PromiseLike<T>
  /** Ends a resource for good. `reason` tells whether a polite farewell is worth trying. */
  destroy(resource: T, reason: DestroyReason): void | PromiseLike<void>
  /** Whether an idle resource still works. False, an error or a timeout destroys it. */
  validate?(resource: T): boolean | PromiseLike<boolean>
  /** Puts a returned resource in order for the next borrower. An error or a timeout destroys it. */
  reset?(resource: T): void | PromiseLike<void>
}

/** What {@link ResourceFactory.create} gets. */
export interface CreateContext {
  /** Aborts when the attempt took too long or the pool closed. */
  readonly signal: AbortSignal
  /** Tells the pool that this resource died by itself. May be called at any time, more than once. */
  readonly onDead: (cause?: unknown) => void
}

/**
 * Why a resource ended: `idle` too long, `lifetime` over, `invalid` (validation or reset failed),
 * `dead` (reported by the factory or the owner), `borrower` (by {@link Lease.destroy}), `surplus`
 * (above a lowered `max`), `late` (arrived after its attempt was given up), `closed` (the pool ends).
 */
export type DestroyReason =
  | 'idle'
  | 'lifetime'
  | 'invalid'
  | 'dead'
  | 'borrower'
  | 'surplus'
  | 'late'
  | 'closed'
