import { setImmediate } from 'node:timers/promises'
import {
  AdaptiveLimit,
  Bulkhead,
  BulkheadFullError,
  CircuitBreaker,
  CircuitOpenError,
  constant,
  createPolicy,
  isRejection,
  LimitExceededError,
  RetryBudget,
  RetryError,
  type AttemptContext,
} from '@dharma/async/resilience'
import { TimeoutError } from '@dharma/core'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { rejectionOf } from './rejection-of.ts'

const never = (): Promise<never> => Promise.withResolvers<never>().promise

describe('Policy', () => {
  test('without parts it only calls', async () => {
    const policy = createPolicy()
    expect(await policy.execute(({ attempt }) => attempt)).toBe(1)
    await expect(policy.execute(() => Promise.reject(new Error('own')))).rejects.toThrow('own')
  })

  test('an attempt that takes too long is aborted and retried', async () => {
    const clock = new ManualClock()
    const policy = createPolicy({
      clock,
      timeoutMs: 100,
      retry: { maxAttempts: 2, backoff: constant(50) },
    })
    const signals: AbortSignal[] = []
    const fn = ({ attempt, signal }: AttemptContext): Promise<number> => {
      signals.push(signal)
      return attempt === 1 ? never() : Promise.resolve(attempt)
    }
    const result = policy.execute(fn)
    await clock.advance(150)
    expect(await result).toBe(2)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
  })

  test('a backoff holds no slot', async () => {
    const clock = new ManualClock()
    const bulkhead = new Bulkhead({ limit: 1 })
    const retry = { maxAttempts: 2, backoff: constant(1_000) }
    const policy = createPolicy({ clock, bulkhead, retry })
    const result = policy.execute(({ attempt }) => {
      if (attempt === 1) throw new Error('first')
      return attempt
    })
    await setImmediate()
    expect(bulkhead.inProgress).toBe(0)
    expect(await policy.execute(() => 'other')).toBe('other')
    await clock.advance(1_000)
    expect(await result).toBe(2)
  })

  test('a call that was given up keeps its slot until it has really ended', async () => {
    const clock = new ManualClock()
    const policy = createPolicy({ clock, bulkhead: { limit: 1 }, timeoutMs: 100, name: 'search' })
    const deaf = Promise.withResolvers<void>()
    const failed = rejectionOf(policy.execute(() => deaf.promise))
    await clock.advance(100)
    expect(await failed).toEqual(new TimeoutError('search', 100))
    await expect(policy.execute(() => 1)).rejects.toThrow(BulkheadFullError)
    deaf.resolve()
    await setImmediate()
    expect(await policy.execute(() => 1)).toBe(1)
  })

  test('a call that waits for its slot has its timeout only from then', async () => {
    const clock = new ManualClock()
    const policy = createPolicy({ clock, bulkhead: { limit: 1, queueLimit: 1 }, timeoutMs: 100 })
    const first = policy.execute(() => clock.sleep(90))
    const second = policy.execute(() => clock.sleep(90))
    await clock.advance(180)
    await expect(Promise.all([first, second])).resolves.toBeDefined()
  })

  test('what this process rejects is not retried and does not count against the service', async () => {
    const clock = new ManualClock()
    const breaker = new CircuitBreaker({ clock, consecutiveFailures: 1 })
    const limit = new AdaptiveLimit({ clock, initialLimit: 1 })
    const onRetry = vi.fn<() => void>()
    const policy = createPolicy({ clock, breaker, limit, retry: { onRetry } })
    const first = policy.execute(() => clock.sleep(100))
    await expect(policy.execute(() => 1)).rejects.toThrow(LimitExceededError)
    expect(breaker.state).toBe('closed')
    expect(onRetry).not.toHaveBeenCalled()
    await clock.advance(100)
    await first
    expect(limit.inProgress).toBe(0)
  })

  test('a trial that the limit rejects is given back to the breaker, and its slot to the bulkhead', async () => {
    const clock = new ManualClock()
    const breaker = new CircuitBreaker({ clock, consecutiveFailures: 1 })
    const limit = new AdaptiveLimit({ clock, initialLimit: 1 })
    const bulkhead = new Bulkhead({ limit: 5 })
    const policy = createPolicy({ clock, breaker, limit, bulkhead })
    await expect(policy.execute(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
    await clock.advance(5_000)
    limit.enter()
    await expect(policy.execute(() => 1)).rejects.toThrow(LimitExceededError)
    limit.succeed(clock.monotonicMs())
    expect(bulkhead.inProgress).toBe(0)
    expect(await policy.execute(() => 1)).toBe(1)
    expect(breaker.state).toBe('closed')
  })

  test('failures and timeouts open the breaker, a cancelled call does not', async () => {
    const clock = new ManualClock()
    const policy = createPolicy({ clock, breaker: { consecutiveFailures: 2 }, timeoutMs: 100 })
    const controller = new AbortController()
    const cancelled = policy.execute(never, { signal: controller.signal })
    controller.abort(new Error('stop'))
    await expect(cancelled).rejects.toThrow('stop')
    await expect(policy.execute(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
    expect(policy.breaker?.state).toBe('closed')
    const late = rejectionOf(policy.execute(never))
    await clock.advance(100)
    expect(await late).toBeInstanceOf(TimeoutError)
    expect(policy.breaker?.state).toBe('open')
    await expect(policy.execute(() => 1)).rejects.toThrow(CircuitOpenError)
  })

  test('a timeout tells the adaptive limit of overload once the call has ended', async () => {
    const clock = new ManualClock()
    const policy = createPolicy({ clock, limit: { initialLimit: 100 }, timeoutMs: 100 })
    const obedient = ({ signal }: AttemptContext): Promise<void> => clock.sleep(10_000, signal)
    const failed = rejectionOf(policy.execute(obedient))
    await clock.advance(100)
    expect(await failed).toBeInstanceOf(TimeoutError)
    expect(policy.limit?.limit).toBe(90)
  })

  test('abort ends a wait for a slot, a backoff and a call', async () => {
    const clock = new ManualClock()
    const bulkhead = new Bulkhead({ limit: 1, queueLimit: 1 })
    const policy = createPolicy({ clock, bulkhead, retry: { backoff: constant(1_000) } })
    const holding = bulkhead.execute(() => clock.sleep(10))
    const inQueue = new AbortController()
    const waiting = policy.execute(() => 1, { signal: inQueue.signal })
    inQueue.abort(new Error('in queue'))
    await expect(waiting).rejects.toThrow('in queue')
    await clock.advance(10)
    await holding

    const inBackoff = new AbortController()
    const fail = (): Promise<never> => Promise.reject(new Error('down'))
    const failed = rejectionOf(policy.execute(fail, { signal: inBackoff.signal }))
    await clock.advance(10)
    inBackoff.abort(new Error('stop'))
    expect(await failed).toMatchObject({ message: 'stop' })
    expect(bulkhead.inProgress).toBe(0)
  })

  test('a deadline holds for all attempts together', async () => {
    const clock = new ManualClock()
    const retry = { maxAttempts: 9, backoff: constant(100), deadlineMs: 250 }
    const policy = createPolicy({ clock, retry, timeoutMs: 100 })
    const failed = rejectionOf(policy.execute(never))
    await clock.advance(250)
    expect(await failed).toBeInstanceOf(RetryError)
  })

  test('a shared budget is asked before each retry', async () => {
    const clock = new ManualClock()
    const budget = new RetryBudget({ clock, minRetriesPerSecond: 0, maxSaved: 1 })
    const policy = createPolicy({ clock, retry: { budget, backoff: constant(0), maxAttempts: 9 } })
    const fail = (): Promise<never> => Promise.reject(new Error('down'))
    const failed = rejectionOf(policy.execute(fail))
    await clock.advance(1)
    expect(await failed).toMatchObject({
      end: 'budget',
      attempts: 2,
    })
  })

  test('attempts are counted by how they ended', async () => {
    const clock = new ManualClock()
    const metrics = createMetrics()
    const retry = { maxAttempts: 2, backoff: constant(0), onRetry: (): void => undefined }
    const bulkhead = { limit: 1 }
    const policy = createPolicy({ name: 'search', clock, metrics, retry, bulkhead, timeoutMs: 50 })
    await policy.execute(() => 1)
    const failed = rejectionOf(policy.execute(({ signal }) => clock.sleep(1_000, signal)))
    const rejected = rejectionOf(policy.execute(() => 1))
    await clock.advance(200)
    expect(await failed).toBeInstanceOf(RetryError)
    expect(await rejected).toBeInstanceOf(BulkheadFullError)
    const down = rejectionOf(policy.execute(() => Promise.reject(new Error('down'))))
    await clock.advance(200)
    expect(await down).toBeInstanceOf(Error)
    const reading = metrics.read('dharma_async_attempts_total')
    expect(reading?.series).toEqual([
      { labelValues: ['search', 'success'], value: 1 },
      { labelValues: ['search', 'failure'], value: 2 },
      { labelValues: ['search', 'timeout'], value: 2 },
      { labelValues: ['search', 'rejected'], value: 1 },
    ])
    expect(metrics.read('dharma_async_retries_total')?.series).toEqual([
      { labelValues: ['search'], value: 2 },
    ])
  })

  test('rejections of this process are told from other errors', () => {
    expect(isRejection(new CircuitOpenError('circuit', 1))).toBe(true)
    expect(isRejection(new BulkheadFullError('bulkhead', 1, 0))).toBe(true)
    expect(isRejection(new LimitExceededError('limit', 1))).toBe(true)
    expect(isRejection(new TimeoutError('call', 1))).toBe(false)
  })

  test('wrong options are refused when it is made', () => {
    expect(() => createPolicy({ timeoutMs: -1 })).toThrow(
      new RangeError('timeoutMs must be above 0, got -1'),
    )
    expect(() => createPolicy({ retry: { maxAttempts: 0 } })).toThrow(RangeError)
  })
})
