import { toError, type Timer } from '@dharma/core'
import { callWithin } from './bounded-call.ts'
import type { CoarseClock } from './coarse-clock.ts'
import type { PoolSettings } from './connection-pool-options.ts'
import { CreateThrottle } from './create-throttle.ts'
import type { DeadlineQueue } from './deadline-queue.ts'
import { CreateFailedError } from './pool-errors.ts'
import type { PoolEvents } from './pool-events.ts'
import type { PoolTotals } from './pool-stats.ts'
import { PooledResource, type ResourceState } from './pooled-resource.ts'
import type { DestroyReason, ResourceFactory } from './resource-factory.ts'

/** What a supply shares with its pool. */
export interface SupplyContext<T> {
  readonly settings: PoolSettings
  readonly deadlines: DeadlineQueue
  readonly time: CoarseClock
  readonly events: PoolEvents<T>
  readonly totals: PoolTotals
  /** A resource was opened, validated or reset and belongs to nobody yet. */
  readonly onReady: (entry: PooledResource<T>) => void
  /** There may be room for a further resource. */
  readonly onRoom: () => void
  readonly onCreateFailed: () => void
}

/**
 * The resources of a pool from their opening to their end; it knows nothing of waiters. Counts
 * always satisfy: open + creating + closing ≤ max, unless `max` was lowered below what is out.
 */
export class ResourceSupply<T> {
  min: number
  max: number
  leased = 0
  creating = 0
  checking = 0
  closing = 0
  /** Every open resource. */
  readonly entries: Map<T, PooledResource<T>> = new Map()
  /** Most recently used last; that one is lent first, so that the surplus at the front gets old. */
  readonly idle: PooledResource<T>[] = []
  readonly #factory: ResourceFactory<T>
  readonly #context: SupplyContext<T>
  readonly #validateAfterIdleMs: number
  readonly #throttle: CreateThrottle
  readonly #attempts = new Set<AbortController>()
  #pauseTimer: Timer | undefined
  #isClosed = false

  constructor(factory: ResourceFactory<T>, context: SupplyContext<T>) {
    const { settings } = context
    this.#factory = factory
    this.#context = context
    this.min = settings.min
    this.max = settings.max
    this.#validateAfterIdleMs =
      factory.validate === undefined ? Infinity : settings.validateAfterIdleMs
    this.#throttle = new CreateThrottle({
      concurrency: settings.createConcurrency,
      backoffBaseMs: settings.createBackoffBaseMs,
      backoffMaxMs: settings.createBackoffMaxMs,
      random: settings.random,
    })
  }

  /** Why resources cannot be opened at present; `undefined` while they can. */
  get failure(): Error | undefined {
    const { state } = this.#throttle
    return state.kind === 'paused' ? state.error : undefined
  }

  /** Whether as many as may be open are lent: a further waiter changes nothing until one comes back. */
  get isLentOut(): boolean {
    return this.leased >= this.max
  }

  /** {@link failure} for those who wanted a resource. */
  createFailure(): CreateFailedError {
    const { state } = this.#throttle
    const { settings, time } = this.#context
    if (state.kind === 'open') return new CreateFailedError(settings.name, 0, 0)
    const retryAfterMs = Math.max(0, state.untilMs - time.read())
    return new CreateFailedError(settings.name, state.failures, retryAfterMs, {
      cause: state.error,
    })
  }

  /** An idle resource that needs no validation, if there is one; ends those past their time. */
  findFresh(nowMs: number): PooledResource<T> | undefined {
    const { idle } = this
    for (let entry = idle.at(-1); entry !== undefined; entry = idle.at(-1)) {
      if (entry.expiresAtMs > nowMs) {
        return nowMs - entry.sinceMs < this.#validateAfterIdleMs ? entry : undefined
      }
      this.retire(entry, 'lifetime')
    }
    return undefined
  }

  lend(entry: PooledResource<T>): void {
    this.#move(entry, 'leased')
  }

  /** Puts a resource that nobody waits for among the idle ones. */
  keep(entry: PooledResource<T>): void {
    this.#move(entry, 'idle')
  }

  /** Starts to validate the best idle resource; false if none is idle. */
  validateIdle(): boolean {
    const entry = this.idle.at(-1)
    if (entry === undefined) return false
    this.#check(entry, 'validate', () => this.#factory.validate?.(entry.resource))
    return true
  }

  /** Resets a resource that came back; false if the factory has nothing to reset. */
  reset(entry: PooledResource<T>): boolean {
    if (this.#factory.reset === undefined) return false
    this.#check(entry, 'reset', () => this.#factory.reset?.(entry.resource))
    return true
  }

  /** Opens what `waiting` callers need beyond what is on its way, and what lacks to `keep` open ones. */
  replenish(waiting: number, keep: number): void {
    const { creating, checking, entries, closing, max } = this
    const wanted = Math.max(waiting - checking - creating, keep - entries.size - creating)
    const room = max - entries.size - creating - closing
    for (let count = Math.min(wanted, room); count > 0; count--) {
      const nowMs = this.#context.time.read()
      if (!this.#throttle.mayStart(nowMs, this.creating)) {
        this.#awaitPause(nowMs, waiting > 0)
        return
      }
      void this.#create(nowMs)
    }
  }

  /** Takes a resource out of the pool, whatever its state, and destroys it. */
  retire(entry: PooledResource<T>, reason: DestroyReason, cause?: unknown): void {
    if (entry.state === 'gone') return
    this.#move(entry, 'gone')
    this.entries.delete(entry.resource)
    void this.#end(entry.resource, reason, this.#context.time.read() - entry.createdAtMs, cause)
  }

  /** Closes idle resources above `max`, oldest first. */
  trim(): void {
    while (this.entries.size > this.max) {
      const [oldest] = this.idle
      if (oldest === undefined) return
      this.retire(oldest, 'surplus')
    }
  }

  /** Gives up every attempt and ends every resource. */
  close(reason: Error): void {
    this.#isClosed = true
    this.#pauseTimer?.cancel()
    this.#pauseTimer = undefined
    for (const attempt of this.#attempts) attempt.abort(reason)
    for (const entry of this.entries.values()) this.retire(entry, 'closed')
  }

  /** The only place where a resource changes its state. */
  #move(entry: PooledResource<T>, to: ResourceState): void {
    switch (entry.state) {
      case 'idle':
        if (this.idle.at(-1) === entry) this.idle.pop()
        else this.idle.splice(this.idle.indexOf(entry), 1)
        break
      case 'leased':
        this.leased -= 1
        break
      case 'checking':
        this.checking -= 1
        break
      case 'gone':
        break
    }
    if (to === 'idle') this.idle.push(entry)
    else if (to === 'leased') this.leased += 1
    else if (to === 'checking') this.checking += 1
    entry.state = to
    entry.sinceMs = this.#context.time.nowMs
  }

  async #create(nowMs: number): Promise<void> {
    const { settings, deadlines, events, totals, time } = this.#context
    const attempt = new AbortController()
    const { signal } = attempt
    let entry: PooledResource<T> | undefined
    let death: { readonly cause: unknown } | undefined
    const onDead = (cause?: unknown): void => {
      death ??= { cause }
      if (entry !== undefined) this.retire(entry, 'dead', cause)
    }
    this.creating += 1
    this.#attempts.add(attempt)
    try {
      const resource = await callWithin(
        deadlines,
        {
          operation: `opening a resource of ${settings.name}`,
          timeoutMs: settings.createTimeoutMs,
          nowMs,
          signal,
          onTimeout: (error) => attempt.abort(error),
          onLate: (late) => void this.#end(late, 'late', 0, signal.reason),
        },
        () => this.#factory.create({ signal, onDead }),
      )
      entry = this.#admit(resource, nowMs, death)
    } catch (error) {
      this.#attempts.delete(attempt)
      this.creating -= 1
      if (this.#isClosed) this.#context.onRoom()
      else this.#failed(toError(error))
      return
    }
    this.#attempts.delete(attempt)
    this.creating -= 1
    this.#throttle.succeeded()
    totals.created += 1
    events.emit('created', { resource: entry.resource, tookMs: time.read() - nowMs })
    this.#checked(entry)
    // One attempt less in flight: others may have waited for that.
    this.#context.onRoom()
  }

  /** Makes what the factory gave one of the pool's, or refuses it. */
  #admit(
    resource: T,
    startedMs: number,
    death: { readonly cause: unknown } | undefined,
  ): PooledResource<T> {
    const { settings, time, totals } = this.#context
    if (this.entries.has(resource)) {
      throw new TypeError(`the factory of ${settings.name} gave the same resource twice`)
    }
    if (death !== undefined) {
      totals.created += 1
      void this.#end(resource, 'dead', 0, death.cause)
      throw new Error(`a resource of ${settings.name} died while it was opened`, death)
    }
    const lifetimeMs =
      settings.maxLifetimeMs * (1 - settings.lifetimeJitterRatio * settings.random())
    const entry = new PooledResource(resource, time.read(), startedMs + lifetimeMs)
    this.entries.set(resource, entry)
    this.checking += 1
    return entry
  }

  #failed(error: Error): void {
    const { events, totals, time, onCreateFailed } = this.#context
    totals.createFailed += 1
    this.#throttle.failed(error, time.read())
    events.emit('error', { operation: 'create', error })
    onCreateFailed()
  }

  #awaitPause(nowMs: number, keepsAlive: boolean): void {
    const { state } = this.#throttle
    if (state.kind !== 'paused' || nowMs >= state.untilMs || this.#pauseTimer !== undefined) return
    const { clock } = this.#context.settings
    this.#pauseTimer = clock.setTimeout(
      () => {
        this.#pauseTimer = undefined
        this.#context.onRoom()
      },
      Math.ceil(state.untilMs - nowMs),
      { keepsAlive },
    )
  }

  /** Runs a step of the factory on a resource that is nobody's meanwhile. */
  #check(
    entry: PooledResource<T>,
    operation: 'validate' | 'reset',
    step: () => void | boolean | undefined | PromiseLike<void | boolean>,
  ): void {
    this.#move(entry, 'checking')
    let result: void | boolean | undefined | PromiseLike<void | boolean>
    try {
      result = step()
    } catch (error) {
      this.#unfit(entry, operation, error)
      return
    }
    if (typeof result === 'object') void this.#awaitCheck(entry, operation, result)
    else if (result === false) this.#unfit(entry, operation)
    else this.#checked(entry)
  }

  async #awaitCheck(
    entry: PooledResource<T>,
    operation: 'validate' | 'reset',
    outcome: PromiseLike<void | boolean>,
  ): Promise<void> {
    const { settings, deadlines, time } = this.#context
    const bound = {
      operation: `${operation} of a resource of ${settings.name}`,
      timeoutMs: settings.checkTimeoutMs,
      nowMs: time.read(),
    }
    try {
      const result = await callWithin(deadlines, bound, () => outcome)
      if (result === false) this.#unfit(entry, operation)
      else this.#checked(entry)
    } catch (error) {
      this.#unfit(entry, operation, error)
    }
  }

  #checked(entry: PooledResource<T>): void {
    if (entry.state === 'checking') this.#context.onReady(entry)
  }

  #unfit(entry: PooledResource<T>, operation: 'validate' | 'reset', thrown?: unknown): void {
    if (entry.state !== 'checking') return
    this.#context.totals.invalid += 1
    if (thrown !== undefined) {
      this.#context.events.emit('error', { operation, error: toError(thrown) })
    }
    this.retire(entry, 'invalid', thrown)
  }

  async #end(resource: T, reason: DestroyReason, ageMs: number, cause: unknown): Promise<void> {
    const { settings, deadlines, events, totals, time, onRoom } = this.#context
    this.closing += 1
    totals.destroyed += 1
    try {
      const ended = this.#factory.destroy(resource, reason)
      events.emit('destroyed', { resource, reason, ageMs, cause })
      if (typeof ended === 'object') {
        const bound = {
          operation: `destroying a resource of ${settings.name}`,
          timeoutMs: settings.destroyTimeoutMs,
          nowMs: time.read(),
        }
        await callWithin(deadlines, bound, () => ended)
      }
    } catch (error) {
      events.emit('error', { operation: 'destroy', error: toError(error) })
    }
    this.closing -= 1
    onRoom()
  }
}
