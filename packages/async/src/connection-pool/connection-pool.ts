import { ClosedError, toError } from '@dharma/core'
import type { AcquireOptions, DrainOptions, DrainResult, UseOptions } from './acquire-options.ts'
import { CoarseClock } from './coarse-clock.ts'
import { Condition } from './condition.ts'
import {
  checkAbove0,
  checkPoolLimits,
  resolvePoolOptions,
  type ConnectionPoolOptions,
  type PoolLimits,
  type PoolSettings,
} from './connection-pool-options.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import { Lease, type LeaseOwner } from './lease.ts'
import { PoolEvents, type PoolEventMap, type PoolEventName } from './pool-events.ts'
import { PoolGauge } from './pool-gauge.ts'
import type { PoolHealth, PoolLoad, PoolStats, Scalable } from './pool-stats.ts'
import { captureStack, type PooledResource, type StackHolder } from './pooled-resource.ts'
import type { ResourceFactory } from './resource-factory.ts'
import { ResourceSupply } from './resource-supply.ts'
import { sweep, sweepEveryMs } from './sweep.ts'
import type { Waiter } from './waiter-queue.ts'
import { WaitingRoom } from './waiting-room.ts'

type Phase = 'open' | 'draining' | 'closed'

/**
 * A pool of resources that are dear to open and serve one borrower at a time. Waiters are served
 * first come, first served, and newcomers never overtake them; of the idle resources, the one used
 * last is lent first. It opens nothing before the first `acquire` or `connect`. Idle times,
 * lifetimes and leaks are seen at ticks: within a quarter of the shortest of them, 100 ms at most.
 */
export class ConnectionPool<T> implements Scalable, AsyncDisposable {
  readonly name: string
  readonly #settings: PoolSettings
  readonly #time: CoarseClock
  readonly #deadlines: DeadlineQueue
  readonly #gauge: PoolGauge
  readonly #supply: ResourceSupply<T>
  readonly #waiting: WaitingRoom<T>
  readonly #events = new PoolEvents<T>()
  readonly #changed = new Condition()
  readonly #owner: LeaseOwner<T>
  readonly #findsLeaks: boolean
  #phase: Phase = 'open'
  #isStarted = false
  #isServing = false
  #mustServeAgain = false
  #drained: Promise<DrainResult> | undefined
  #closed: Promise<void> | undefined

  /** @throws RangeError naming option, limit and value. */
  constructor(factory: ResourceFactory<T>, options: ConnectionPoolOptions = {}) {
    const settings = resolvePoolOptions(options)
    this.name = settings.name
    this.#settings = settings
    this.#findsLeaks = settings.leakAfterMs < Infinity
    this.#time = new CoarseClock(settings.clock, settings.random, sweepEveryMs(settings), () =>
      this.#tick(),
    )
    this.#deadlines = new DeadlineQueue(settings.clock)
    this.#gauge = new PoolGauge(settings, this.#time)
    const shared = {
      settings,
      deadlines: this.#deadlines,
      time: this.#time,
      totals: this.#gauge.totals,
    }
    this.#supply = new ResourceSupply(factory, {
      ...shared,
      events: this.#events,
      onReady: (entry) => this.#offer(entry),
      onRoom: () => this.#serve(),
      onCreateFailed: () => this.#createFailed(),
    })
    this.#waiting = new WaitingRoom({
      ...shared,
      leased: () => this.#supply.leased,
      failure: () => this.#supply.failure,
      onLeft: () => this.#changed.notify(),
    })
    this.#owner = {
      name: this.name,
      takeBack: (entry) => this.#takeBack(entry),
      discard: (entry, cause) => this.#supply.retire(entry, 'borrower', cause),
    }
  }

  /** Resources open: idle, leased, or being validated or reset. */
  get size(): number {
    return this.#supply.entries.size
  }

  get limits(): { readonly min: number; readonly max: number } {
    return { min: this.#supply.min, max: this.#supply.max }
  }

  /**
   * A lease, as soon as those who came before have theirs. Rejects with the signal's reason,
   * {@link AcquireTimeoutError}, {@link PoolQueueFullError}, {@link CreateFailedError} (with
   * `onCreateFailure: 'reject'`) or `ClosedError`; a RangeError for a wrong `timeoutMs`.
   */
  acquire(options?: AcquireOptions): Promise<Lease<T>> {
    const signal = options?.signal
    if (this.#phase !== 'open') return Promise.reject(new ClosedError(this.name))
    if (signal?.aborted === true) return Promise.reject(toError(signal.reason))
    const stack = this.#findsLeaks ? captureStack() : undefined
    const lease = this.#lendIdle(stack)
    if (lease !== undefined) return Promise.resolve(lease)
    const timeoutMs = options?.timeoutMs ?? this.#settings.acquireTimeoutMs
    const refusal = this.#waiting.refusal(timeoutMs)
    if (refusal !== undefined) return Promise.reject(refusal)
    const { promise } = this.#waiting.enter(timeoutMs, signal, stack)
    this.#gauge.arrivals += 1
    this.#isStarted = true
    if (!this.#supply.isLentOut) this.#serve()
    if (this.#isHopeless()) this.#waiting.refuseAll(() => this.#supply.createFailure())
    return promise
  }

  /** A lease if one can be had at once: something is idle, needs no validation, and nobody waits. */
  tryAcquire(): Lease<T> | undefined {
    if (this.#phase !== 'open') return undefined
    return this.#lendIdle(this.#findsLeaks ? captureStack() : undefined)
  }

  /** Lends a resource to `fn` and takes it back when it is done, however it ends. */
  async use<R>(
    fn: (resource: T, lease: Lease<T>) => R | PromiseLike<R>,
    options?: UseOptions,
  ): Promise<R> {
    using lease = await this.acquire(options)
    try {
      return await fn(lease.resource, lease)
    } catch (error) {
      if (options?.isFatal?.(error) === true && !lease.isEnded) lease.destroy(error)
      throw error
    }
  }

  /**
   * Opens `min` resources, so that, with a `min` above 0, a wrong address shows at start. Rejects with a
   * {@link CreateFailedError} at the first failed attempt; the pool goes on trying nevertheless.
   */
  async connect({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { totals } = this.#gauge
    const failedBefore = totals.createFailed
    this.#isStarted = true
    this.#serve()
    await this.#changed.until(() => {
      if (this.#phase !== 'open') throw new ClosedError(this.name)
      if (this.size >= this.#supply.min) return true
      if (totals.createFailed > failedBefore) throw this.#supply.createFailure()
      return false
    }, signal)
  }

  /**
   * Changes the limits. Waiters are served at once when `max` was raised; when it was lowered, idle
   * resources above it are closed now and leased ones as they come back.
   * @throws RangeError naming option, limit and value.
   */
  resize({ min = this.#supply.min, max = this.#supply.max }: PoolLimits): void {
    checkPoolLimits(min, max)
    this.#supply.min = min
    this.#supply.max = max
    this.#supply.trim()
    this.#wake()
    this.#serve()
  }

  /**
   * Tells that a resource is dead, idle or in use: it is destroyed and, when needed, replaced at once.
   * Its borrower's lease stays his to end. False if it is none of the pool's.
   */
  invalidate(resource: T, cause?: unknown): boolean {
    const entry = this.#supply.entries.get(resource)
    if (entry === undefined) return false
    this.#supply.retire(entry, 'dead', cause)
    return true
  }

  /** Calls `listener` at each event until the function returned is called. */
  on<Name extends PoolEventName>(
    name: Name,
    listener: (event: PoolEventMap<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener)
  }

  stats(): PoolStats {
    return this.#gauge.stats(this.#supply, this.#waiting.length)
  }

  load(): PoolLoad {
    return this.#gauge.load(this.#supply, this.#waiting.length)
  }

  health(): PoolHealth {
    if (this.#phase !== 'open') return { status: 'down', reason: `${this.name} is ${this.#phase}` }
    const { failure } = this.#supply
    if (failure !== undefined && this.size < this.#supply.max) {
      const reason = `${this.name} cannot open resources`
      return { status: this.size === 0 ? 'down' : 'degraded', reason, cause: failure }
    }
    if (this.#waiting.length > 0 && this.#waiting.length >= this.#settings.maxWaiting) {
      return { status: 'degraded', reason: `the queue of ${this.name} is full` }
    }
    return { status: 'up' }
  }

  /**
   * Takes no new callers, serves those who wait, and closes once all is returned; at the deadline
   * it closes regardless. A second call shares the first one's outcome.
   * @throws RangeError naming option, limit and value.
   */
  drain({ deadlineMs = 30_000, signal }: DrainOptions = {}): Promise<DrainResult> {
    checkAbove0('deadlineMs', deadlineMs)
    this.#drained ??= this.#drain(deadlineMs, signal)
    return this.#drained
  }

  /**
   * Ends everything now: waiters are refused, resources destroyed, leased ones included. Resolves
   * when each is destroyed or its `destroyTimeoutMs` is over. Call `drain` first for a soft end.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #drain(deadlineMs: number, signal: AbortSignal | undefined): Promise<DrainResult> {
    if (this.#phase === 'open') this.#phase = 'draining'
    for (const entry of this.#supply.idle.slice()) this.#supply.retire(entry, 'closed')
    let isGraceOver = signal?.aborted === true
    const endGrace = (): void => {
      isGraceOver = true
      this.#changed.notify()
    }
    const { clock } = this.#settings
    const timer = deadlineMs < Infinity ? clock.setTimeout(endGrace, deadlineMs) : undefined
    signal?.addEventListener('abort', endGrace)
    await this.#changed.until(() => isGraceOver || this.size + this.#waiting.length === 0)
    timer?.cancel()
    signal?.removeEventListener('abort', endGrace)
    const result = { cut: this.#supply.leased, refused: this.#waiting.length }
    await this.close()
    return result
  }

  async #close(): Promise<void> {
    this.#phase = 'closed'
    const error = new ClosedError(this.name)
    this.#waiting.refuseAll(() => error)
    this.#supply.close(error)
    await this.#changed.until(() => this.#supply.closing + this.#supply.creating === 0)
    this.#time.stop()
    this.#deadlines.close()
    this.#gauge.publish(this.#supply, 0)
  }

  #lendIdle(stack: StackHolder | undefined): Lease<T> | undefined {
    this.#wake()
    if (this.#waiting.length > 0) return undefined
    const entry = this.#supply.findFresh(this.#time.nowMs)
    if (entry === undefined) return undefined
    this.#gauge.arrivals += 1
    return this.#lend(entry, stack)
  }

  #lend(entry: PooledResource<T>, stack: StackHolder | undefined): Lease<T> {
    this.#supply.lend(entry)
    this.#gauge.totals.acquired += 1
    if (stack !== undefined) {
      entry.stack = stack
      entry.isLeakReported = false
    }
    return new Lease(this.#owner, entry)
  }

  #lendTo(waiter: Waiter<T>, entry: PooledResource<T>): void {
    this.#waiting.dismiss(waiter)
    const { enteredMs = 0, weight } = waiter
    if (weight > 0) this.#gauge.measured(this.#time.read() - enteredMs, weight)
    this.#gauge.totals.waited += 1
    waiter.resolve(this.#lend(entry, waiter.stack))
  }

  #takeBack(entry: PooledResource<T>): void {
    // One that died in use has left the pool before its lease ended.
    if (entry.state !== 'leased') return
    if (entry.expiresAtMs <= this.#time.nowMs) this.#supply.retire(entry, 'lifetime')
    else if (!this.#supply.reset(entry)) this.#offer(entry)
  }

  /** Passes on a resource that is nobody's: to the first waiter, to the idle ones, or out. */
  #offer(entry: PooledResource<T>): void {
    const { first } = this.#waiting
    if (this.size > this.#supply.max) this.#supply.retire(entry, 'surplus')
    else if (first !== undefined) this.#lendTo(first, entry)
    else if (this.#phase === 'open') this.#supply.keep(entry)
    else this.#supply.retire(entry, 'closed')
    this.#wake()
    this.#changed.notify()
  }

  /** Starts the ticks, unless they run. */
  #wake(): void {
    if (this.#time.isTicking || this.#phase === 'closed') return
    this.#time.wake()
    this.#gauge.sample(this.#supply.leased)
  }

  /** Brings waiters and resources together and orders what lacks. May be called from within itself. */
  #serve(): void {
    this.#mustServeAgain = true
    if (this.#isServing) return
    this.#isServing = true
    while (this.#mustServeAgain) {
      this.#mustServeAgain = false
      this.#serveOnce()
    }
    this.#isServing = false
    this.#changed.notify()
  }

  #serveOnce(): void {
    if (this.#phase === 'closed') return
    const waiting = this.#waiting
    const supply = this.#supply
    for (let { first } = waiting; first !== undefined; { first } = waiting) {
      const entry = supply.findFresh(this.#time.nowMs)
      if (entry === undefined) break
      this.#lendTo(first, entry)
    }
    while (waiting.length > supply.checking && supply.validateIdle());
    supply.replenish(waiting.length, this.#keep)
  }

  /**
   * Resources to hold open even when nobody needs them. While the factory fails that is one more
   * than there are, so that recovery shows in `health` without a caller who risks his request.
   */
  get #keep(): number {
    if (!this.#isStarted || this.#phase !== 'open') return 0
    return this.#supply.failure === undefined ? this.#supply.min : this.size + 1
  }

  /** Whether waiting is in vain for now and the owner wants callers to know it at once. */
  #isHopeless(): boolean {
    const { failure, creating, entries } = this.#supply
    const isVain = failure !== undefined && creating === 0 && entries.size === 0
    return isVain && this.#settings.onCreateFailure === 'reject'
  }

  #createFailed(): void {
    if (this.#isHopeless()) this.#waiting.refuseAll(() => this.#supply.createFailure())
    this.#serve()
  }

  #tick(): number {
    const { nowMs } = this.#time
    const supply = this.#supply
    const dueMs = sweep(supply, this.#keep, this.#settings, nowMs, (entry) => this.#leaked(entry))
    this.#waiting.tick(nowMs)
    const hasArrivals = this.#gauge.tick(supply, this.#waiting.length)
    const isBusy = hasArrivals || supply.leased + supply.checking + this.#waiting.length > 0
    return isBusy ? 0 : dueMs - nowMs
  }

  #leaked({ resource, sinceMs, stack }: PooledResource<T>): void {
    this.#gauge.totals.leaked += 1
    const heldMs = this.#time.nowMs - sinceMs
    this.#events.emit('leak', { resource, heldMs, stack: stack?.stack ?? '' })
  }
}
