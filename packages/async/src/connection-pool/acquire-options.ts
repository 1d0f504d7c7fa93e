/** What one `acquire` may be told. */
export interface AcquireOptions {
  /** Takes the caller out of the queue; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Longest wait. Above 0. @default the pool's `acquireTimeoutMs` */
  readonly timeoutMs?: number | undefined
}

/** What one `use` may be told. */
export interface UseOptions extends AcquireOptions {
  /** Whether an error of the function means that the resource is broken and must go. @default never */
  readonly isFatal?: ((error: unknown) => boolean) | undefined
}

/** What a `drain` may be told. */
export interface DrainOptions {
  /** Longest grace for waiters and borrowers; then all is closed. Above 0. @default 30_000 */
  readonly deadlineMs?: number
  /** Ends the grace early. */
  readonly signal?: AbortSignal | undefined
}

/** How a drain ended. */
export interface DrainResult {
  /** Leases still out when the grace was over; their resources were destroyed. */
  readonly cut: number
  /** Waiters refused when the grace was over. */
  readonly refused: number
}
