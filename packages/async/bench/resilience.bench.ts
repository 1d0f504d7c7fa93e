import { createAsyncManager } from '@dharma/async/async-manager'
import { RateLimiter } from '@dharma/async/resilience'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'
import Bottleneck from 'bottleneck'
import {
  bulkhead,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel'
import PQueue from 'p-queue'
import pRetry from 'p-retry'

const work = async (): Promise<number> => 1

/** One call at a time, each awaited. */
function inTurn(call: () => Promise<number>): Subject {
  return {
    iterate: async (count) => {
      for (let i = 0; i < count; i += 1) await call()
    },
  }
}

/** What retrying costs while nothing fails. */
const retryOnSuccess: Bench = defineBench({
  name: 'async.retry-on-success',
  title: 'an async function that succeeds, called with retries',
  subjects: {
    dharma: () => {
      const manager = createAsyncManager()
      const options = { maxAttempts: 3 }
      return inTurn(() => manager.retry(work, options))
    },
    cockatiel: () => {
      const policy = retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() })
      return inTurn(() => policy.execute(work))
    },
    'p-retry': () => inTurn(() => pRetry(work, { retries: 2 })),
    'no retries': () => inTurn(work),
  },
  bars: [
    { subject: 'dharma', over: 'cockatiel', atMost: 0.75 },
    { subject: 'dharma', over: 'p-retry', atMost: 0.75 },
  ],
})

const manager = createAsyncManager()
const ours = manager.policy({
  retry: { maxAttempts: 3 },
  breaker: { failureRatio: 0.5 },
  bulkhead: { limit: 100, queueLimit: 100 },
  timeoutMs: 1_000,
})
const theirs = wrap(
  retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() }),
  circuitBreaker(handleAll, {
    halfOpenAfter: 5_000,
    breaker: new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 2 }),
  }),
  timeout(1_000, TimeoutStrategy.Aggressive),
  bulkhead(100, 100),
)
const workWithSignal = async ({ signal }: { signal?: AbortSignal }): Promise<number> => {
  return signal?.aborted === true ? 0 : 1
}

/** Retry, breaker, timeout and bulkhead together, while nothing fails. */
const policyOnSuccess: Bench = defineBench({
  name: 'async.policy-on-success',
  title: 'an async function that succeeds under retry, breaker, timeout and bulkhead',
  subjects: {
    dharma: () => inTurn(() => ours.execute(work)),
    'dharma, signal used': () => inTurn(() => ours.execute(workWithSignal)),
    cockatiel: () => inTurn(() => theirs.execute(work)),
    'cockatiel, signal used': () => inTurn(() => theirs.execute(workWithSignal)),
  },
  bars: [
    { subject: 'dharma', over: 'cockatiel', atMost: 0.25 },
    { subject: 'dharma, signal used', over: 'cockatiel, signal used', atMost: 0.25 },
  ],
})

const CALLS_A_SECOND = 1e9

/** What a rate limit costs while the rate is not used up. */
const rateOnSuccess: Bench = defineBench({
  name: 'async.rate-on-success',
  title: 'an async function under a rate limit that is not reached',
  subjects: {
    dharma: () => {
      const limiter = new RateLimiter({ limit: CALLS_A_SECOND })
      return inTurn(() => limiter.execute(work))
    },
    'dharma, 100 keys': () => {
      const limiter = new RateLimiter({ limit: CALLS_A_SECOND })
      const keys = Array.from({ length: 100 }, (_, index) => ({ key: `key ${index}` }))
      let next = 0
      return inTurn(() => limiter.execute(work, keys[next++ % keys.length]))
    },
    'p-queue': () => {
      const queue = new PQueue({ intervalCap: CALLS_A_SECOND, interval: 1_000 })
      return inTurn(() => queue.add(work))
    },
    Bottleneck: () => {
      const limiter = new Bottleneck({
        reservoir: CALLS_A_SECOND,
        reservoirRefreshAmount: CALLS_A_SECOND,
        reservoirRefreshInterval: 1_000,
      })
      return { ...inTurn(() => limiter.schedule(work)), close: () => limiter.disconnect() }
    },
  },
  bars: [
    { subject: 'dharma', over: 'p-queue', atMost: 0.15 },
    { subject: 'dharma, 100 keys', over: 'p-queue', atMost: 0.25 },
    { subject: 'dharma', over: 'Bottleneck', atMost: 0.01 },
  ],
})

export const benches: readonly Bench[] = [retryOnSuccess, policyOnSuccess, rateOnSuccess]
