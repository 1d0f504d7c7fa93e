import { ClosedError, DharmaError, systemClock, type Clock, type Timer } from '@dharma/core'

/** Options of {@link RateLimiter}. */
export interface RateLimiterOptions {
  /** What errors call it. @default 'rate limiter' */
  readonly name?: string
  /** Calls an interval, spread evenly over it. Above 0, fractions too. */
  readonly limit: number
  /** The interval, in milliseconds. Above 0. @default 1_000 */
  readonly intervalMs?: number
  /** Calls that a key which was quiet may make at once. At least 1. @default `limit` rounded up */
  readonly burst?: number
  /** Calls that may wait, of all keys together, first come first served within a key. At least 0. @default 1_000 */
  readonly queueLimit?: number
  /**
   * Keys remembered at most. Beyond it the one used longest ago is forgotten, and may make a burst
   * again; one for which calls wait is never forgotten. At least 1. @default 10_000
   */
  readonly maxKeys?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** Options of {@link RateLimiter.acquire}. */
export interface RateOptions {
  /** Whose rate it is: a tenant, an address, an endpoint. @default '' */
  readonly key?: string
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** The rate is used up and the queue is full: the call was not made. */
export class RateLimitedError extends DharmaError {
  override readonly name = 'RateLimitedError'
  readonly code = 'DHARMA_RATE_LIMITED'
  readonly limiter: string
  readonly key: string
  /** When a call would be let through if none came before it. */
  readonly retryAfterMs: number

  constructor(limiter: string, key: string, retryAfterMs: number, options?: ErrorOptions) {
    super(`${limiter} lets no call through for ${Math.ceil(retryAfterMs)} ms`, options)
    this.limiter = limiter
    this.key = key
    this.retryAfterMs = retryAfterMs
  }
}

interface KeyState {
  /** The theoretical arrival time: from then on the whole burst is there again. */
  arrivalMs: number
  readonly waiting: Set<Waiting>
  timer: Timer | undefined
}

interface Waiting {
  readonly letThrough: () => void
  readonly refuse: (reason: Error) => void
}

/**
 * So many calls an interval, by key, one number each: the generic cell rate algorithm, which is a
 * leaky bucket as a meter. No window has a border at which twice the limit gets through.
 * Source: ITU-T I.371, annex A.
 */
export class RateLimiter implements AsyncDisposable {
  readonly #name: string
  readonly #clock: Clock
  /** Milliseconds that one call takes of the rate. */
  readonly #costMs: number
  /** How far the arrival time may lie ahead. */
  readonly #toleranceMs: number
  readonly #queueLimit: number
  readonly #maxKeys: number
  /** Used last comes last. */
  readonly #keys = new Map<string, KeyState>()
  #waiting = 0
  #isClosed = false

  /** @throws RangeError naming option, limit and value. */
  constructor(options: RateLimiterOptions) {
    const { name = 'rate limiter', limit, intervalMs = 1_000, clock = systemClock } = options
    const { burst = Math.ceil(limit), queueLimit = 1_000, maxKeys = 10_000 } = options
    checkRate('limit', limit)
    checkRate('intervalMs', intervalMs)
    checkWhole('burst', burst, 1)
    checkWhole('queueLimit', queueLimit, 0)
    checkWhole('maxKeys', maxKeys, 1)
    this.#name = name
    this.#clock = clock
    this.#costMs = intervalMs / limit
    this.#toleranceMs = this.#costMs * (burst - 1)
    this.#queueLimit = queueLimit
    this.#maxKeys = maxKeys
  }

  /** Calls that wait, of all keys. */
  get waiting(): number {
    return this.#waiting
  }

  /** Keys remembered. */
  get size(): number {
    return this.#keys.size
  }

  /** Takes one call of the rate of `key`, if there is one now and nobody waits for it. */
  tryAcquire(key = ''): boolean {
    if (this.#isClosed) return false
    const nowMs = this.#clock.monotonicMs()
    const state = this.#stateOf(key, nowMs)
    if (state === undefined || state.waiting.size > 0) return false
    return this.#take(state, nowMs)
  }

  /**
   * Resolves when the call may be made.
   *
   * @throws RateLimitedError when as many wait as may; ClosedError; the signal's reason.
   */
  async acquire({ key, signal }: RateOptions = {}): Promise<void> {
    await this.enter(key, signal)
  }

  /** Calls `fn` when it may be called; throws as {@link acquire} and `fn` do. */
  async execute<T>(fn: () => T | PromiseLike<T>, { key, signal }: RateOptions = {}): Promise<T> {
    const wait = this.enter(key, signal)
    if (wait !== undefined) await wait
    return fn()
  }

  /**
   * For compositions: takes one call at once, or returns what to wait for.
   *
   * @throws as {@link acquire}.
   */
  enter(key = '', signal?: AbortSignal): Promise<void> | undefined {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new ClosedError(this.#name)
    const nowMs = this.#clock.monotonicMs()
    const state = this.#stateOf(key, nowMs)
    if (state === undefined) throw new RateLimitedError(this.#name, key, this.#costMs)
    if (state.waiting.size === 0 && this.#take(state, nowMs)) return undefined
    if (this.#waiting >= this.#queueLimit) {
      const aheadMs = state.waiting.size * this.#costMs
      throw new RateLimitedError(this.#name, key, this.#waitMs(state, nowMs) + aheadMs)
    }
    return this.#wait(state, nowMs, signal)
  }

  /** Refuses those who wait, and takes no more. */
  async close(): Promise<void> {
    this.#isClosed = true
    const error = new ClosedError(this.#name)
    for (const state of this.#keys.values()) {
      state.timer?.cancel()
      for (const waiting of state.waiting) waiting.refuse(error)
    }
    this.#keys.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #take(state: KeyState, nowMs: number): boolean {
    if (this.#waitMs(state, nowMs) > 0) return false
    state.arrivalMs = Math.max(state.arrivalMs, nowMs) + this.#costMs
    return true
  }

  #waitMs(state: KeyState, nowMs: number): number {
    return Math.max(0, state.arrivalMs - this.#toleranceMs - nowMs)
  }

  /** `undefined` if there is no place for a further key. */
  #stateOf(key: string, nowMs: number): KeyState | undefined {
    const known = this.#keys.get(key)
    if (known !== undefined) {
      if (this.#keys.size > 1) {
        this.#keys.delete(key)
        this.#keys.set(key, known)
      }
      return known
    }
    if (this.#keys.size >= this.#maxKeys && !this.#forgetOne()) return undefined
    const made: KeyState = { arrivalMs: nowMs, waiting: new Set(), timer: undefined }
    this.#keys.set(key, made)
    return made
  }

  #forgetOne(): boolean {
    for (const [key, { waiting }] of this.#keys) {
      if (waiting.size > 0) continue
      this.#keys.delete(key)
      return true
    }
    return false
  }

  #wait(state: KeyState, nowMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        state.waiting.delete(waiting)
        this.#waiting -= 1
        signal?.removeEventListener('abort', onAbort)
      }
      const waiting: Waiting = {
        letThrough: () => {
          leave()
          resolve()
        },
        refuse: (reason) => {
          leave()
          reject(reason)
        },
      }
      const onAbort = (): void => {
        waiting.refuse(signal?.reason as Error)
        if (state.waiting.size > 0) return
        state.timer?.cancel()
        state.timer = undefined
      }
      state.waiting.add(waiting)
      this.#waiting += 1
      signal?.addEventListener('abort', onAbort)
      if (state.timer === undefined) this.#arm(state, nowMs)
    })
  }

  /** One timer for all who wait for a key; those whose time has come go in order. */
  #arm(state: KeyState, nowMs: number): void {
    const onTimer = (): void => {
      state.timer = undefined
      const dueMs = this.#clock.monotonicMs()
      for (const waiting of state.waiting) {
        if (!this.#take(state, dueMs)) break
        waiting.letThrough()
      }
      if (state.waiting.size > 0) this.#arm(state, dueMs)
    }
    state.timer = this.#clock.setTimeout(onTimer, Math.ceil(this.#waitMs(state, nowMs)))
  }
}

function checkRate(option: string, value: number): void {
  if (value > 0 && value < Infinity) return
  throw new RangeError(`${option} must be a finite number above 0, got ${value}`)
}

function checkWhole(option: string, value: number, least: number): void {
  if (value >= least && (Number.isInteger(value) || value === Infinity)) return
  throw new RangeError(`${option} must be a whole number of at least ${least}, got ${value}`)
}
