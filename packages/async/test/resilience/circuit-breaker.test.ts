import {
  CircuitBreaker,
  CircuitOpenError,
  type CircuitBreakerOptions,
  type CircuitState,
} from '@dharma/async/resilience'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

function setUp(options: CircuitBreakerOptions = {}): {
  clock: ManualClock
  breaker: CircuitBreaker
  states: CircuitState[]
  call: (outcome: 'ok' | 'error', tookMs?: number) => Promise<unknown>
} {
  const clock = new ManualClock()
  const states: CircuitState[] = []
  const onStateChange = (state: CircuitState): void => void states.push(state)
  const breaker = new CircuitBreaker({ minCalls: 4, clock, onStateChange, ...options })
  const call = async (outcome: 'ok' | 'error', tookMs = 0): Promise<unknown> => {
    const result = breaker.execute(async () => {
      if (tookMs > 0) await clock.sleep(tookMs)
      if (outcome === 'error') throw new Error('service')
    })
    const [settled] = await Promise.all([Promise.allSettled([result]), clock.advance(tookMs)])
    return settled[0].status === 'rejected' ? settled[0].reason : 'ok'
  }
  return { clock, breaker, states, call }
}

describe('CircuitBreaker', () => {
  test('it opens when the share of failures is reached, not below the least number of calls', async () => {
    const { breaker, call } = setUp()
    for (const outcome of ['ok', 'error', 'error'] as const) await call(outcome)
    expect(breaker.state).toBe('closed')
    await call('ok')
    expect(breaker.state).toBe('closed')
    await call('error')
    expect(breaker.state).toBe('open')
  })

  test('open, it makes no call and says when to come back', async () => {
    const { clock, breaker, call } = setUp({ name: 'billing', openMs: 5_000 })
    for (let i = 0; i < 4; i += 1) await call('error')
    await clock.advance(1_000)
    const error = await call('ok')
    expect(error).toBeInstanceOf(CircuitOpenError)
    expect(error).toMatchObject({
      code: 'DHARMA_CIRCUIT_OPEN',
      circuit: 'billing',
      retryAfterMs: 4_000,
      message: 'billing is open, retry after 4000 ms',
    })
    expect(breaker.state).toBe('open')
  })

  test('a successful trial closes it and forgets what was before', async () => {
    const { clock, breaker, states, call } = setUp()
    for (let i = 0; i < 4; i += 1) await call('error')
    await clock.advance(5_000)
    expect(await call('ok')).toBe('ok')
    await call('error')
    expect(breaker.state).toBe('closed')
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })

  test('each failed trial doubles the time it stays open, up to the maximum', async () => {
    const { clock, call } = setUp({ openMs: 1_000, maxOpenMs: 3_000 })
    for (let i = 0; i < 4; i += 1) await call('error')
    for (const openMs of [1_000, 2_000, 3_000, 3_000]) {
      await clock.advance(openMs - 1)
      expect(await call('ok')).toBeInstanceOf(CircuitOpenError)
      await clock.advance(1)
      expect(await call('error')).toEqual(new Error('service'))
    }
  })

  test('half-open, only as many trials as wanted are made, and all must succeed', async () => {
    const { clock, breaker } = setUp({ trialCalls: 2, consecutiveFailures: 1 })
    const fail = (): never => {
      throw new Error('service')
    }
    await expect(breaker.execute(fail)).rejects.toThrow('service')
    await clock.advance(5_000)
    const trials = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
    const results = trials.map(({ promise }) => breaker.execute(() => promise))
    await expect(breaker.execute(() => 1)).rejects.toThrow(CircuitOpenError)
    trials[0].resolve()
    await results[0]
    expect(breaker.state).toBe('half-open')
    trials[1].resolve()
    await results[1]
    expect(breaker.state).toBe('closed')
  })

  test('trials that never end are replaced after a while', async () => {
    const { clock, breaker, call } = setUp({ consecutiveFailures: 1, openMs: 1_000 })
    await call('error')
    await clock.advance(1_000)
    const hanging = Promise.withResolvers<void>()
    const abandoned = breaker.execute(() => hanging.promise)
    expect(await call('ok')).toBeInstanceOf(CircuitOpenError)
    await clock.advance(1_000)
    expect(await call('ok')).toBe('ok')
    expect(breaker.state).toBe('closed')
    hanging.reject(new Error('much later'))
    await expect(abandoned).rejects.toThrow('much later')
    expect(breaker.state).toBe('closed')
  })

  test('a call that was let through before it opened does not count afterwards', async () => {
    const { breaker, call } = setUp({ consecutiveFailures: 2 })
    const late = Promise.withResolvers<void>()
    const result = breaker.execute(() => late.promise)
    await call('error')
    await call('error')
    expect(breaker.state).toBe('open')
    late.resolve()
    await result
    expect(breaker.state).toBe('open')
  })

  test('failures in a row open it, a success between them does not let them add up', async () => {
    const { breaker, call } = setUp({ consecutiveFailures: 3, minCalls: 1_000 })
    for (const outcome of ['error', 'error', 'ok', 'error', 'error'] as const) await call(outcome)
    expect(breaker.state).toBe('closed')
    await call('error')
    expect(breaker.state).toBe('open')
  })

  test('slow calls open it though they succeed, and a slow trial does not close it', async () => {
    const { clock, breaker, call } = setUp({ slowCallMs: 100, slowCallRatio: 0.5 })
    for (const tookMs of [0, 100, 101, 101]) await call('ok', tookMs)
    expect(breaker.state).toBe('open')
    await clock.advance(5_000)
    await call('ok', 101)
    expect(breaker.state).toBe('open')
  })

  test('failures are forgotten when the window has passed', async () => {
    const { clock, breaker, call } = setUp({ windowMs: 10_000 })
    for (let i = 0; i < 3; i += 1) await call('error')
    await clock.advance(10_000)
    for (let i = 0; i < 3; i += 1) await call('error')
    expect(breaker.state).toBe('closed')
    await call('error')
    expect(breaker.state).toBe('open')
  })

  test('an error that does not speak against the service counts as a success', async () => {
    const { breaker, call } = setUp({ failureIf: () => false })
    for (let i = 0; i < 20; i += 1) await call('error')
    expect(breaker.state).toBe('closed')
  })

  test('a trial that was cancelled makes room for another one', async () => {
    const { clock, breaker, call } = setUp({ consecutiveFailures: 1 })
    await call('error')
    await clock.advance(5_000)
    breaker.cancel(breaker.enter(clock.monotonicMs()))
    expect(await call('ok')).toBe('ok')
    expect(breaker.state).toBe('closed')
    breaker.cancel(breaker.enter(clock.monotonicMs()))
    expect(breaker.state).toBe('closed')
  })

  test('any history opens it exactly when a list of all calls says so', async () => {
    const step = fc.record({
      hasFailed: fc.boolean(),
      tookMs: fc.constantFrom(0, 50, 150),
      pauseMs: fc.constantFrom(0, 0, 10, 400, 3_000),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom(0.3, 0.5, 1),
        async (steps, minCalls, failureRatio) => {
          const rules = { minCalls, failureRatio, slowCallMs: 100, slowCallRatio: 0.6 }
          const { clock, breaker, call } = setUp({ ...rules, windowMs: 1_000 })
          const model = new BreakerModel(rules)
          for (const { hasFailed, tookMs, pauseMs } of steps) {
            await clock.advance(pauseMs)
            const startMs = clock.monotonicMs()
            const isLet = model.enter(startMs)
            const result = await call(hasFailed ? 'error' : 'ok', tookMs)
            expect(result instanceof CircuitOpenError).toBe(!isLet)
            if (isLet) model.end(hasFailed, tookMs, startMs + tookMs)
            expect(breaker.state).toBe(model.state)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('wrong options name option, limit and value', () => {
    const wrong: [CircuitBreakerOptions, string][] = [
      [{ failureRatio: 0 }, 'failureRatio must be above 0 and at most 1, got 0'],
      [{ slowCallRatio: 2 }, 'slowCallRatio must be above 0 and at most 1, got 2'],
      [{ slowCallMs: 0 }, 'slowCallMs must be above 0, got 0'],
      [{ minCalls: 1.5 }, 'minCalls must be a whole number of at least 1, got 1.5'],
      [
        { consecutiveFailures: 0 },
        'consecutiveFailures must be a whole number of at least 1, got 0',
      ],
      [{ windowMs: 0 }, 'windowMs must be above 0, got 0'],
      [{ openMs: 0 }, 'openMs must be above 0, got 0'],
      [{ openMs: 10, maxOpenMs: 5 }, 'maxOpenMs must be at least openMs (10), got 5'],
      [{ trialCalls: 0 }, 'trialCalls must be a whole number of at least 1, got 0'],
    ]
    for (const [options, message] of wrong) {
      expect(() => new CircuitBreaker(options)).toThrow(new RangeError(message))
    }
  })
})

type ModelRules = Required<
  Pick<CircuitBreakerOptions, 'minCalls' | 'failureRatio' | 'slowCallMs' | 'slowCallRatio'>
>

/** The rules said plainly: every call is kept, one trial, time in tenths of the window. */
class BreakerModel {
  state: CircuitState = 'closed'
  readonly #rules: ModelRules
  #calls: { tenth: number; hasFailed: boolean; isSlow: boolean }[] = []
  #openMs = 5_000
  #untilMs = 0

  constructor(rules: ModelRules) {
    this.#rules = rules
  }

  enter(nowMs: number): boolean {
    if (this.state === 'closed') return true
    if (nowMs < this.#untilMs) return false
    this.state = 'half-open'
    return true
  }

  end(hasFailed: boolean, tookMs: number, nowMs: number): void {
    const isSlow = tookMs > this.#rules.slowCallMs
    if (this.state === 'half-open') {
      if (hasFailed || isSlow) this.#open(Math.min(60_000, this.#openMs * 2), nowMs)
      else {
        this.state = 'closed'
        this.#calls = []
      }
      return
    }
    const tenth = Math.floor(nowMs / 100)
    this.#calls.push({ tenth, hasFailed, isSlow })
    const recent = this.#calls.filter((call) => call.tenth > tenth - 10)
    const failures = recent.filter((call) => call.hasFailed).length
    const slow = recent.filter((call) => call.isSlow).length
    const { minCalls, failureRatio, slowCallRatio } = this.#rules
    if (!(hasFailed || isSlow) || recent.length < minCalls) return
    if (failures >= failureRatio * recent.length || slow >= slowCallRatio * recent.length) {
      this.#open(5_000, nowMs)
    }
  }

  #open(openMs: number, nowMs: number): void {
    this.state = 'open'
    this.#openMs = openMs
    this.#untilMs = nowMs + openMs
  }
}
