/**
 * What a check speaks about. **liveness**: is this process beyond help, so that it should be
 * restarted? Never ask a dependency that. **readiness**: should it get requests now? **startup**:
 * has it come up? A startup check that passed once is not run again.
 */
export type HealthKind = 'liveness' | 'readiness' | 'startup'

/** `pending` until the first verdict. */
export type HealthStatus = 'up' | 'degraded' | 'down' | 'pending'

/** A check's run that did not simply pass; made by {@link degraded} and {@link down}. */
export class CheckVerdict {
  readonly status: 'degraded' | 'down'
  readonly reason: string

  constructor(status: 'degraded' | 'down', reason: string) {
    this.status = status
    this.reason = reason
  }
}

/** Returned by a check that works, though worse than it should; the kind as a whole stays OK. */
export function degraded(reason: string): CheckVerdict {
  return new CheckVerdict('degraded', reason)
}

/** Returned by a check that failed for a known reason; throwing means the same. */
export function down(reason: string): CheckVerdict {
  return new CheckVerdict('down', reason)
}

/** One thing to look at, again and again, in the background. */
export interface CheckOptions {
  /** Unique among the checks of its kind; shown in results and as a metric label. */
  readonly name: string
  readonly kind: HealthKind
  /**
   * Passes unless it throws, rejects, or returns `false`, {@link down} or {@link degraded}; any
   * other value is ignored. The signal aborts at the timeout and when the check is unregistered.
   */
  readonly check: (signal: AbortSignal) => unknown
  /** How long a run may take before it counts as failed, in milliseconds. At least 1. @default 2_000 */
  readonly timeoutMs?: number
  /** From the start of one run to the start of the next, in milliseconds. At least 1. @default 5_000 */
  readonly everyMs?: number
  /**
   * Failures in a row that make it `down`. At least 1; the orchestrator that probes counts once
   * more on its side. @default 1
   */
  readonly failAfter?: number
  /** Whether it can make the kind `down`; if not, only `degraded`. @default true */
  readonly isCritical?: boolean
  /**
   * Runs that may be unsettled at once. A further one starts only beside runs that timed out, for
   * clients that never settle a lost request. At least 1. @default 1
   */
  readonly maxPending?: number
}

/** What is known about one check. */
export interface CheckResult {
  readonly name: string
  readonly kind: HealthKind
  readonly status: HealthStatus
  readonly isCritical: boolean
  /** Why the last run did not simply pass; without secrets. */
  readonly reason?: string
  /** When `status` became what it is, in milliseconds since the epoch. */
  readonly sinceMs: number
  /** When the last run ended, in milliseconds since the epoch; absent before the first did. */
  readonly checkedAtMs?: number
  /** How long the last run took, in milliseconds. */
  readonly durationMs?: number
  /** Failed runs since the last that passed. */
  readonly consecutiveFailures: number
}

/** A registered check. */
export interface CheckHandle extends Disposable {
  readonly result: CheckResult
  /** Looks now, or joins the run under way. Resolves with the result; never rejects. */
  refresh(): Promise<CheckResult>
  /** Ends the run under way and forgets the check. */
  unregister(): void
}
