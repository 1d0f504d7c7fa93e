import { noopMetrics, systemClock, TimeoutError, type BoundCounter } from '@dharma/core'
import type { Clock, Metrics } from '@dharma/core'
import { AdaptiveLimit, LimitExceededError, type AdaptiveLimitOptions } from './adaptive-limit.ts'
import { Bulkhead, BulkheadFullError, type BulkheadOptions } from './bulkhead.ts'
import { CircuitBreaker, CircuitOpenError, type CircuitBreakerOptions } from './circuit-breaker.ts'
import type { CircuitPermit } from './circuit-breaker.ts'
import { RateLimitedError, RateLimiter, type RateLimiterOptions } from './rate-limiter.ts'
import { checkRetryOptions, retryWith } from './retry.ts'
import type { AttemptContext, RetryDefaults, RetryOptions } from './retry.ts'
import { withTimeout, type CallContext } from './with-timeout.ts'

/** Options of {@link Policy}. Each part that is given applies; instances may be shared. */
export interface PolicyOptions {
  /** What errors and metrics call the service that is called. @default 'policy' */
  readonly name?: string
  /** By default a rejection by the parts below is not retried. @default no retries */
  readonly retry?: Omit<RetryOptions, 'signal' | 'clock' | 'random'>
  /** Calls an interval, retries included. A call that waits for its turn holds no slot. */
  readonly rate?: RateLimiter | RateLimiterOptions
  /** Slots of calls in progress; one that was given up keeps its slot until it has really ended. */
  readonly bulkhead?: Bulkhead | BulkheadOptions
  readonly breaker?: CircuitBreaker | CircuitBreakerOptions
  readonly limit?: AdaptiveLimit | AdaptiveLimitOptions
  /** Of one attempt, without its wait for a slot; above 0, in milliseconds. @default Infinity */
  readonly timeoutMs?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** Uniform in [0, 1): for jitter. @default Math.random */
  readonly random?: () => number
  /** @default none */
  readonly metrics?: Metrics
}

/** Options of {@link Policy.execute}. */
export interface ExecuteOptions {
  /** Ends the wait and the operation; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Whose rate it is, if the policy has one by key. @default '' */
  readonly rateKey?: string | undefined
}

/**
 * How a service is called: retry ( rate ( bulkhead ( breaker ( adaptive limit ( timeout ( call ) ) ) ) ) ).
 * In this order a backoff holds no slot, a call that waited for its slot meets the breaker as it is
 * then, and what this process itself rejects does not count against the service.
 */
export class Policy {
  readonly name: string
  readonly breaker: CircuitBreaker | undefined = undefined
  readonly bulkhead: Bulkhead | undefined = undefined
  readonly limit: AdaptiveLimit | undefined = undefined
  readonly rate: RateLimiter | undefined = undefined
  readonly #retry: RetryOptions | undefined = undefined
  readonly #retryDefaults: RetryDefaults
  readonly #timeoutMs: number
  readonly #clock: Clock
  readonly #counters: PolicyCounters

  /** @throws RangeError when an option is out of its range. */
  constructor(options: PolicyOptions = {}) {
    const { name = 'policy', clock = systemClock, random = Math.random } = options
    const { retry, breaker, bulkhead, limit, rate, timeoutMs = Infinity } = options
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    this.name = name
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#counters = new PolicyCounters(options.metrics ?? noopMetrics, name)
    if (breaker !== undefined) {
      const isMade = breaker instanceof CircuitBreaker
      this.breaker = isMade ? breaker : new CircuitBreaker({ name, clock, ...breaker })
    }
    if (bulkhead !== undefined) {
      this.bulkhead = bulkhead instanceof Bulkhead ? bulkhead : new Bulkhead({ name, ...bulkhead })
    }
    if (limit !== undefined) {
      const isMade = limit instanceof AdaptiveLimit
      this.limit = isMade ? limit : new AdaptiveLimit({ name, clock, ...limit })
    }
    if (rate !== undefined) {
      this.rate = rate instanceof RateLimiter ? rate : new RateLimiter({ name, clock, ...rate })
    }
    this.#retryDefaults = {
      clock,
      random,
      budget: undefined,
      count: () => this.#counters.retries.inc(),
    }
    if (retry === undefined) return
    checkRetryOptions(retry)
    this.#retry = { retryIf: (error) => !isRejection(error), ...retry }
  }

  /**
   * Calls `fn` under the policy.
   *
   * @throws RetryError when retries are given and did not help; else whatever `fn` throws,
   * TimeoutError, or the rejection of a part: CircuitOpenError, BulkheadFullError,
   * RateLimitedError, LimitExceededError. The signal's reason when it aborts.
   */
  execute<T>(
    fn: (context: AttemptContext) => T | PromiseLike<T>,
    { signal, rateKey }: ExecuteOptions = {},
  ): Promise<T> {
    if (this.#retry === undefined) return this.#attempt(fn, 1, signal, rateKey)
    const retry = signal === undefined ? this.#retry : { ...this.#retry, signal }
    const isGuarded = signal !== undefined || retry.deadlineMs !== undefined
    const attempt = (context: AttemptContext): Promise<T> => {
      return this.#attempt(fn, context.attempt, isGuarded ? context.signal : undefined, rateKey)
    }
    return retryWith(this.#retryDefaults, attempt, retry)
  }

  async #attempt<T>(
    fn: (context: AttemptContext) => T | PromiseLike<T>,
    attempt: number,
    signal: AbortSignal | undefined,
    rateKey: string | undefined,
  ): Promise<T> {
    try {
      const turn = this.rate?.enter(rateKey, signal)
      if (turn !== undefined) await turn
      const wait = this.bulkhead?.enter(signal)
      if (wait !== undefined) await wait
      const startMs = this.#clock.monotonicMs()
      const permit = this.#admit(startMs)
      const value = await this.#call(fn, attempt, signal, permit, startMs)
      this.#counters.successes.inc()
      return value
    } catch (error) {
      this.#counters.countError(error)
      throw error
    }
  }

  /** What breaker and limit say, with the slot given back if it is no. */
  #admit(startMs: number): CircuitPermit | undefined {
    let permit: CircuitPermit | undefined
    try {
      permit = this.breaker?.enter(startMs)
      this.limit?.enter()
      return permit
    } catch (error) {
      if (permit !== undefined) this.breaker?.cancel(permit)
      this.bulkhead?.leave()
      throw error
    }
  }

  async #call<T>(
    fn: (context: AttemptContext) => T | PromiseLike<T>,
    attempt: number,
    signal: AbortSignal | undefined,
    permit: CircuitPermit | undefined,
    startMs: number,
  ): Promise<T> {
    const start = (context: CallContext): Promise<T> => this.#hold(fn, attempt, context, startMs)
    const options = { operation: this.name, signal, clock: this.#clock }
    try {
      const value = await withTimeout(start, this.#timeoutMs, options)
      if (permit !== undefined) this.breaker?.succeed(permit, startMs)
      return value
    } catch (error) {
      if (permit === undefined) throw error
      if (signal?.aborted === true) this.breaker?.cancel(permit)
      else this.breaker?.fail(permit, startMs, error)
      throw error
    }
  }

  /** Gives slots back when the call has really ended, also if nobody waits for it any more. */
  async #hold<T>(
    fn: (context: AttemptContext) => T | PromiseLike<T>,
    attempt: number,
    context: CallContext,
    startMs: number,
  ): Promise<T> {
    try {
      const value = await fn(new LazyAttempt(attempt, context))
      this.limit?.succeed(startMs)
      return value
    } catch (error) {
      this.limit?.fail(context.signal.aborted ? context.signal.reason : error)
      throw error
    } finally {
      this.bulkhead?.leave()
    }
  }
}

/** The same as `new Policy(options)`. */
export function createPolicy(options?: PolicyOptions): Policy {
  return new Policy(options)
}

/** Whether a call was not made because of a limit of this process: nothing is known of the service. */
export function isRejection(error: unknown): boolean {
  return (
    error instanceof CircuitOpenError ||
    error instanceof BulkheadFullError ||
    error instanceof RateLimitedError ||
    error instanceof LimitExceededError
  )
}

/** Asks for the signal only when the operation does. */
class LazyAttempt implements AttemptContext {
  readonly attempt: number
  readonly #context: CallContext

  constructor(attempt: number, context: CallContext) {
    this.attempt = attempt
    this.#context = context
  }

  get signal(): AbortSignal {
    return this.#context.signal
  }
}

class PolicyCounters {
  readonly successes: BoundCounter
  readonly retries: BoundCounter
  readonly #failures: BoundCounter
  readonly #timeouts: BoundCounter
  readonly #rejections: BoundCounter

  constructor(metrics: Metrics, policy: string) {
    const attempts = metrics.counter('dharma_async_attempts_total', {
      help: 'Calls of services through a policy, by how they ended.',
      labels: ['policy', 'outcome'],
    })
    this.successes = attempts.bind(policy, 'success')
    this.#failures = attempts.bind(policy, 'failure')
    this.#timeouts = attempts.bind(policy, 'timeout')
    this.#rejections = attempts.bind(policy, 'rejected')
    this.retries = metrics
      .counter('dharma_async_retries_total', {
        help: 'Calls of services that were made again after an error.',
        labels: ['policy'],
      })
      .bind(policy)
  }

  countError(error: unknown): void {
    if (isRejection(error)) this.#rejections.inc()
    else if (error instanceof TimeoutError) this.#timeouts.inc()
    else this.#failures.inc()
  }
}
