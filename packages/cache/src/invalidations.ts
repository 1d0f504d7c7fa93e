import type { Clock, Timer } from '@dharma/core'
import { RedisUnavailableError } from './errors.ts'
import type { Fences } from './fences.ts'
import { compileGlob } from './invalidation/glob.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import { Journal } from './invalidation/journal.ts'
import type { LogEvent } from './invalidation/log-event.ts'
import type { LogPosition } from './invalidation/log-reader.ts'
import type { KeyWaiters } from './key-waiters.ts'
import type { MemoryTier } from './memory/index.ts'
import { RecentInvalidations } from './recent-invalidations.ts'
import type { InvalidationTargets, InvalidationWriter } from './redis/invalidation-writer.ts'

/**
 * What came of a write or an invalidation. `done`: no read of this process returns the older value
 * any more, and the others stop as they hear of it. `pending`: Redis did not acknowledge; this
 * process has forgotten the older value and will tell Redis as soon as it answers again.
 */
export type InvalidationResult = { readonly status: 'done' | 'pending' }

/** Why a cache does not do all that it could. */
export interface DegradedEvent {
  readonly reason: 'redis-unavailable' | 'invalidation-pending'
  /** Names that wait to be invalidated in Redis. */
  readonly pending: number
  readonly cause: unknown
}

export interface InvalidationsOptions {
  readonly clock: Clock
  readonly state: InvalidationState
  readonly fences: Fences
  readonly waiters: KeyWaiters
  readonly memory: MemoryTier | undefined
  /** Undefined for a cache of one process. */
  readonly writer: InvalidationWriter | undefined
  readonly isReachable: () => boolean
  readonly origin: string
  readonly onDegraded: (event: DegradedEvent) => void
  readonly onError: (error: unknown) => void
}

const RETRY_EVERY_MS = 100
const DONE: InvalidationResult = { status: 'done' }
const PENDING: InvalidationResult = { status: 'pending' }

/** Invalidates here and everywhere, and applies what other processes invalidate. */
export class Invalidations {
  readonly journal: Journal = new Journal()
  readonly #options: InvalidationsOptions
  readonly #own = new RecentInvalidations()
  readonly #heardOf = new RecentInvalidations()
  #draining: Promise<void> | undefined
  #heard = 0
  #retry: Timer | undefined
  #isClosed = false

  constructor(options: InvalidationsOptions) {
    this.#options = options
  }

  /** Records of other processes that were applied. */
  get heard(): number {
    return this.#heard
  }

  async invalidate(targets: InvalidationTargets): Promise<InvalidationResult> {
    const { writer, state } = this.#options
    this.#begin(targets)
    if (writer === undefined) {
      this.#complete(targets, state.version + 1)
      return DONE
    }
    try {
      await this.settled()
      this.#complete(targets, await writer.invalidate(targets, state.version))
      this.remember(targets)
      return DONE
    } catch (error) {
      this.postpone(targets, error)
      if (targets.everything === true) state.endClear()
      return PENDING
    }
  }

  /**
   * Resolves when Redis can be written to and knows of all that was invalidated before.
   * @throws RedisUnavailableError when it cannot.
   */
  async settled(): Promise<void> {
    if (this.#options.isReachable() && this.journal.isEmpty) return
    if (this.#options.isReachable()) await this.drain()
    if (!this.#options.isReachable() || !this.journal.isEmpty) throw new RedisUnavailableError()
  }

  /** Keeps what Redis did not acknowledge for later. */
  postpone(targets: InvalidationTargets, cause: unknown): void {
    this.journal.add(targets)
    this.#options.onDegraded({ reason: 'invalidation-pending', pending: this.journal.size, cause })
    void this.drain()
  }

  /** Tells Redis what it did not acknowledge. Resolves when it has, or when it cannot be reached. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined
      if (!this.journal.isEmpty && !this.#isClosed) this.#retryLater()
    })
    return this.#draining
  }

  /** Tells Redis what it can still be told, and ends retrying. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#retry?.cancel()
    await this.drain()
  }

  /** Remembers what a failover might lose. */
  remember(targets: InvalidationTargets): void {
    this.#own.add(targets, this.#options.clock.monotonicMs())
  }

  /** What another process, or this one, has written to the log. */
  apply(event: LogEvent): void {
    const { waiters, origin, state, clock } = this.#options
    if (event.kind === 'filled') {
      waiters.wake(event.key)
      return
    }
    if (event.origin === origin) {
      // Applied when Redis acknowledged it, or about to be.
      state.sawVersion(event.version)
      return
    }
    this.#heard++
    this.#heardOf.add(event.targets, clock.monotonicMs())
    const { keys = [] } = event.targets
    for (const key of keys) this.#forgetKey(key)
    this.#applyVersions(event.targets, event.version)
  }

  /**
   * The log has a gap, or Redis has lost some of it: nothing that was held is certain. What was lost is
   * told again, by each who knows of it: whoever told it first may be gone, or slower than a read.
   */
  restart(position: LogPosition, isRollback: boolean): void {
    const { state, fences, clock } = this.#options
    state.restart(position.version, position.floorVersion, position.patterns)
    fences.breakAll()
    if (!isRollback) return
    const nowMs = clock.monotonicMs()
    for (const targets of [...this.#own.take(nowMs), ...this.#heardOf.take(nowMs)]) {
      this.journal.add(targets)
    }
    void this.drain()
  }

  async #drain(): Promise<void> {
    const { writer, state, onError } = this.#options
    if (writer === undefined) return
    while (!this.journal.isEmpty && this.#options.isReachable()) {
      const targets = this.journal.take()
      try {
        this.#complete(targets, await writer.invalidate(targets, state.version), false)
        this.remember(targets)
        this.journal.settle(true)
      } catch (error) {
        this.journal.settle(false)
        onError(error)
        return
      }
    }
  }

  #retryLater(): void {
    this.#retry?.cancel()
    this.#retry = this.#options.clock.setTimeout(() => void this.drain(), RETRY_EVERY_MS, {
      keepsAlive: false,
    })
  }

  /** Memory forgets before Redis is asked, so that nothing older is served while it is. */
  #begin({ keys = [], tags = [], patterns = [], everything = false }: InvalidationTargets): void {
    const { state, fences } = this.#options
    for (const key of keys) this.#forgetKey(key)
    for (const tag of tags) state.beginTag(tag)
    for (const pattern of patterns) {
      state.beginPattern(pattern)
      fences.breakAll(compileGlob(pattern))
    }
    if (everything) {
      state.beginClear()
      fences.breakAll()
    }
  }

  /** And again after: a read that began meanwhile may have found what was about to go. */
  #complete(targets: InvalidationTargets, version: number, begun = true): void {
    const { keys = [], everything = false } = targets
    for (const key of keys) this.#forgetKey(key)
    if (everything && begun) this.#options.state.endClear()
    this.#applyVersions(targets, version)
  }

  #applyVersions(
    { tags = [], patterns = [], everything = false }: InvalidationTargets,
    version: number,
  ): void {
    const { state, fences } = this.#options
    state.sawVersion(version)
    for (const tag of tags) state.applyTag(tag, version)
    for (const pattern of patterns) {
      state.applyPattern(pattern, version)
      fences.breakAll(compileGlob(pattern))
    }
    if (everything) {
      state.applyClear(version)
      fences.breakAll()
    }
  }

  #forgetKey(key: string): void {
    this.#options.memory?.remove(key)
    this.#options.fences.break(key)
    this.#options.waiters.wake(key)
  }
}
