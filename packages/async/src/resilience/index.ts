export { AdaptiveLimit, LimitExceededError, type AdaptiveLimitOptions } from './adaptive-limit.ts'
export { constant, exponential, type Backoff, type ExponentialOptions } from './backoff.ts'
export { Bulkhead, BulkheadFullError, type BulkheadOptions } from './bulkhead.ts'
export {
  CircuitBreaker,
  CircuitOpenError,
  type CircuitBreakerOptions,
  type CircuitPermit,
  type CircuitState,
} from './circuit-breaker.ts'
export { hedge, type HedgeOptions } from './hedge.ts'
export { LatencyQuantile, type LatencyQuantileOptions } from './latency-quantile.ts'
export {
  createPolicy,
  isRejection,
  Policy,
  type ExecuteOptions,
  type PolicyOptions,
} from './policy.ts'
export {
  RateLimitedError,
  RateLimiter,
  type RateLimiterOptions,
  type RateOptions,
} from './rate-limiter.ts'
export {
  retry,
  RetryError,
  type AttemptContext,
  type RetryEnd,
  type RetryEvent,
  type RetryOptions,
} from './retry.ts'
export { RetryBudget, type RetryBudgetOptions } from './retry-budget.ts'
export { withTimeout, type CallContext, type TimeoutOptions } from './with-timeout.ts'
