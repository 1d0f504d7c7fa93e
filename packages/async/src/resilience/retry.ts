import { DharmaError, systemClock, type Clock } from '@dharma/core'
import { exponential, type Backoff } from './backoff.ts'
import type { RetryBudget } from './retry-budget.ts'
import { withTimeout, type CallContext } from './with-timeout.ts'

/** What an attempt is told. */
export interface AttemptContext {
  /** 1 for the first. */
  readonly attempt: number
  /** Aborts when the result is no longer wanted. */
  readonly signal: AbortSignal
}

/** A retry that is about to be waited for. */
export interface RetryEvent {
  /** The attempt that failed, from 1. */
  readonly attempt: number
  readonly error: unknown
  readonly delayMs: number
}

/** Options of {@link retry}. */
export interface RetryOptions {
  /** Calls made at most, the first included. At least 1. @default 3 */
  readonly maxAttempts?: number
  /** How long to wait between them. @default exponential() */
  readonly backoff?: Backoff
  /** Whether another attempt may help; `false` rejects with that very error. @default every error */
  readonly retryIf?: (error: unknown, attempt: number) => boolean
  /** All attempts and waits together, in milliseconds; above 0. @default Infinity */
  readonly deadlineMs?: number
  /** Shared by all that call the same service; what it denies is not retried. @default none */
  readonly budget?: RetryBudget | undefined
  /** Ends the wait and the operation; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Told of each retry before its wait. What it throws ends the operation. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined
  /** @default systemClock */
  readonly clock?: Clock
  /** Uniform in [0, 1). @default Math.random */
  readonly random?: () => number
}

/** Why no further attempt was made. */
export type RetryEnd = 'attempts' | 'budget' | 'deadline'

/** An operation failed and was not, or no longer, retried. `cause` is the last attempt's error. */
export class RetryError extends DharmaError {
  override readonly name = 'RetryError'
  readonly code = 'DHARMA_RETRIES_EXHAUSTED'
  /** Attempts made, the first included. */
  readonly attempts: number
  readonly end: RetryEnd

  constructor(attempts: number, end: RetryEnd, options?: ErrorOptions) {
    super(
      `gave up after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: ${REASONS[end]}`,
      options,
    )
    this.attempts = attempts
    this.end = end
  }
}

const REASONS: Readonly<Record<RetryEnd, string>> = {
  attempts: 'no attempts left',
  budget: 'the retry budget is spent',
  deadline: 'the deadline is near or over',
}

/** What an owner of retries gives to all of them; what a call's own options say goes first. */
export interface RetryDefaults {
  readonly clock: Clock
  readonly random: () => number
  readonly budget: RetryBudget | undefined
  /** Told of each retry, besides the call's own `onRetry`. Must not throw. */
  readonly count: (() => void) | undefined
}

/** Who never aborts: one for all, so that a call without a signal pays for none. */
const NEVER: AbortSignal = new AbortController().signal
const DEFAULT_BACKOFF: Backoff = exponential()
const NO_DEFAULTS: RetryDefaults = {
  clock: systemClock,
  random: Math.random,
  budget: undefined,
  count: undefined,
}

/**
 * Calls `fn` until it succeeds. An error that carries a number `retryAfterMs` is not retried before
 * that.
 *
 * @throws RetryError when no attempt is left, the budget denies one, or the deadline would pass.
 * @throws whatever `fn` threw, when `retryIf` says that retrying is of no use.
 * @throws RangeError when an option is out of its range.
 */
export function retry<T>(
  fn: (context: AttemptContext) => T | PromiseLike<T>,
  options: RetryOptions = {},
): Promise<T> {
  return retryWith(NO_DEFAULTS, fn, options)
}

/** {@link retry} for an owner of many: no options object has to be made for a call. */
export function retryWith<T>(
  defaults: RetryDefaults,
  fn: (context: AttemptContext) => T | PromiseLike<T>,
  options: RetryOptions,
): Promise<T> {
  checkRetryOptions(options)
  const budget = options.budget ?? defaults.budget
  budget?.recordCall()
  if (options.signal === undefined && options.deadlineMs === undefined) {
    return attemptUntilDone(fn, options, { defaults, signal: NEVER, endMs: Infinity, attempts: 0 })
  }
  return runGuarded(defaults, fn, options)
}

/** @throws RangeError when an option is out of its range. */
export function checkRetryOptions({ maxAttempts = 3, deadlineMs = Infinity }: RetryOptions): void {
  if (!(maxAttempts >= 1) || (!Number.isInteger(maxAttempts) && maxAttempts !== Infinity)) {
    throw new RangeError(`maxAttempts must be a whole number of at least 1, got ${maxAttempts}`)
  }
  if (!(deadlineMs > 0)) throw new RangeError(`deadlineMs must be above 0, got ${deadlineMs}`)
}

async function runGuarded<T>(
  defaults: RetryDefaults,
  fn: (context: AttemptContext) => T | PromiseLike<T>,
  options: RetryOptions,
): Promise<T> {
  const { deadlineMs = Infinity, signal, clock = defaults.clock } = options
  const endMs = clock.monotonicMs() + deadlineMs
  let run: Run | undefined
  const start = (context: CallContext): Promise<T> => {
    run = { defaults, signal: context.signal, endMs, attempts: 0 }
    return attemptUntilDone(fn, options, run)
  }
  try {
    return await withTimeout(start, deadlineMs, {
      operation: 'the retried operation',
      signal,
      clock,
    })
  } catch (error) {
    const isDeadline = run?.signal.reason === error && signal?.aborted !== true
    if (run === undefined || !isDeadline) throw error
    throw new RetryError(run.attempts, 'deadline', { cause: error })
  }
}

/** All attempts of one call. */
interface Run {
  readonly defaults: RetryDefaults
  readonly signal: AbortSignal
  readonly endMs: number
  attempts: number
}

async function attemptUntilDone<T>(
  fn: (context: AttemptContext) => T | PromiseLike<T>,
  options: RetryOptions,
  run: Run,
): Promise<T> {
  const { signal } = run
  let delayMs = 0
  for (;;) {
    const attempt = (run.attempts += 1)
    try {
      return await fn({ attempt, signal })
    } catch (error) {
      signal.throwIfAborted()
      delayMs = delayBeforeNext(error, run, delayMs, options)
      run.defaults.count?.()
      options.onRetry?.({ attempt, error, delayMs })
    }
    await (options.clock ?? run.defaults.clock).sleep(delayMs, signal)
  }
}

/** Decides about one more attempt: how long to wait for it, or throws what the caller gets. */
function delayBeforeNext(
  error: unknown,
  { attempts, endMs, defaults }: Run,
  previousDelayMs: number,
  options: RetryOptions,
): number {
  const { maxAttempts = 3, backoff = DEFAULT_BACKOFF, random = defaults.random } = options
  if (options.retryIf?.(error, attempts) === false) throw error
  if (attempts >= maxAttempts) throw new RetryError(attempts, 'attempts', { cause: error })
  const delayMs = Math.max(backoff(attempts, previousDelayMs, random), retryAfterMs(error))
  const clock = options.clock ?? defaults.clock
  if (endMs !== Infinity && clock.monotonicMs() + delayMs >= endMs) {
    throw new RetryError(attempts, 'deadline', { cause: error })
  }
  const budget = options.budget ?? defaults.budget
  if (budget?.tryRetry() === false) throw new RetryError(attempts, 'budget', { cause: error })
  return delayMs
}

function retryAfterMs(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return 0
  const { retryAfterMs: delayMs } = error
  return typeof delayMs === 'number' && delayMs > 0 ? delayMs : 0
}
