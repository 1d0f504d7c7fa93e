import { toError } from '@dharma/core'
import type { CoarseClock } from './coarse-clock.ts'
import type { PoolSettings } from './connection-pool-options.ts'
import type { DeadlineQueue } from './deadline-queue.ts'
import { AcquireTimeoutError, PoolQueueFullError } from './pool-errors.ts'
import type { PoolTotals } from './pool-stats.ts'
import type { StackHolder } from './pooled-resource.ts'
import { Waiter, WaiterQueue } from './waiter-queue.ts'

/** What a waiting room shares with its pool. */
export interface WaitingRoomContext {
  readonly settings: PoolSettings
  readonly deadlines: DeadlineQueue
  readonly time: CoarseClock
  readonly totals: PoolTotals
  readonly leased: () => number
  /** Why resources cannot be opened at present, if so. */
  readonly failure: () => Error | undefined
  /** A waiter left without a lease. */
  readonly onLeft: () => void
}

/** From here on, being a tick late is nothing to a timeout. */
const LONG_TIMEOUT_MS = 10_000
/** Waits measured between two ticks before measuring falls back to a sample of one in {@link SAMPLED}. */
const MEASURED_A_TICK = 32
const SAMPLED = 16

/**
 * Callers in the order of their coming, each until its lease, its deadline or its signal.
 *
 * Under a storm of waiters, reading the clock and keeping deadlines would cost more than all the
 * rest. So of many waiters only a sample is measured, with its weight; and a long deadline, which
 * is then counted from the next tick, is registered only for those who still wait at that tick.
 */
export class WaitingRoom<T> {
  readonly #queue = new WaiterQueue<T>()
  readonly #context: WaitingRoomContext
  /** Behind it in the queue are the waiters of this tick. */
  #firstUnregistered: Waiter<T> | undefined
  #measured = 0
  #seed = 0

  constructor(context: WaitingRoomContext) {
    this.#context = context
  }

  get length(): number {
    return this.#queue.length
  }

  get first(): Waiter<T> | undefined {
    return this.#queue.first
  }

  /** Why a caller cannot enter, if so. */
  refusal(timeoutMs: number): RangeError | PoolQueueFullError | undefined {
    const { settings, totals } = this.#context
    if (timeoutMs !== settings.acquireTimeoutMs && !(timeoutMs > 0)) {
      return new RangeError(`timeoutMs must be above 0, got ${timeoutMs}`)
    }
    if (this.#queue.length < settings.maxWaiting) return undefined
    totals.refused += 1
    return new PoolQueueFullError(settings.name, settings.maxWaiting)
  }

  enter(
    timeoutMs: number,
    signal: AbortSignal | undefined,
    stack: StackHolder | undefined,
  ): Waiter<T> {
    const { time } = this.#context
    const weight = this.#weigh()
    const waiter = new Waiter<T>(this.#expire, timeoutMs, weight, stack)
    this.#queue.push(waiter)
    if (timeoutMs < LONG_TIMEOUT_MS) this.#register(waiter, time.read())
    else {
      if (weight > 0) waiter.enteredMs = time.read()
      this.#firstUnregistered ??= waiter
    }
    if (signal !== undefined) this.#follow(waiter, signal)
    return waiter
  }

  /** Takes a waiter out; its promise is the caller's to settle. */
  dismiss(waiter: Waiter<T>): void {
    this.#leave(waiter)
    if (waiter.isRegistered) this.#context.deadlines.noteSettled(waiter)
  }

  /** Refuses everybody, first come first. */
  refuseAll(error: () => Error): void {
    for (let { first } = this.#queue; first !== undefined; { first } = this.#queue) {
      this.#context.totals.refused += 1
      this.dismiss(first)
      first.reject(error())
    }
    this.#context.onLeft()
  }

  /** To be called at each tick. */
  tick(nowMs: number): void {
    this.#measured = 0
    for (let waiter = this.#firstUnregistered; waiter !== undefined; waiter = waiter.next) {
      if (!waiter.isRegistered) this.#register(waiter, nowMs)
    }
    this.#firstUnregistered = undefined
  }

  #register(waiter: Waiter<T>, nowMs: number): void {
    waiter.isRegistered = true
    waiter.enteredMs ??= nowMs
    this.#context.deadlines.add(waiter, nowMs)
  }

  /** How many waits the next one stands for in the statistics: 1 while few come, else 0 or many. */
  #weigh(): number {
    if (this.#measured < MEASURED_A_TICK) {
      this.#measured += 1
      return 1
    }
    // Numerical Recipes' generator: enough to keep the sample out of step with any rhythm of calls.
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) | 0
    return this.#seed >>> 28 === 0 ? SAMPLED : 0
  }

  #follow(waiter: Waiter<T>, signal: AbortSignal): void {
    const onAbort = (): void => {
      this.#context.totals.aborted += 1
      this.dismiss(waiter)
      waiter.reject(toError(signal.reason))
      this.#context.onLeft()
    }
    waiter.unfollow = () => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort)
  }

  readonly #expire = (waiter: Waiter<T>): void => {
    const { settings, totals, leased, failure, onLeft } = this.#context
    totals.timedOut += 1
    this.#leave(waiter)
    const cause = failure()
    waiter.reject(
      new AcquireTimeoutError(
        settings.name,
        waiter.timeoutMs,
        { leased: leased(), waiting: this.#queue.length },
        cause === undefined ? undefined : { cause },
      ),
    )
    onLeft()
  }

  #leave(waiter: Waiter<T>): void {
    waiter.isSettled = true
    if (waiter === this.#firstUnregistered) this.#firstUnregistered = waiter.next
    this.#queue.remove(waiter)
    waiter.unfollow?.()
  }
}
