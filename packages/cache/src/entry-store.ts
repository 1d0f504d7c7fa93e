import type { Clock } from '@dharma/core'
import { factsOf, lifeAt, type LifeFacts } from './entry-life.ts'
import type { ResolvedEntryOptions } from './entry-options.ts'
import type { Fence } from './fences.ts'
import type { Flight } from './flight.ts'
import { areTagsCurrent, type TagRecord } from './invalidation-view.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import type { LeasedLoads, LoadRight } from './leased-loads.ts'
import type { MemoryTier } from './memory/index.ts'
import type { SharedRead } from './shared-tier.ts'

export interface EntryStoreOptions {
  readonly clock: Clock
  readonly state: InvalidationState
  readonly memory: MemoryTier | undefined
  readonly leased: LeasedLoads | undefined
  readonly maxStalenessMs: number
  readonly earlyRefresh: number
  readonly random: () => number
}

/** A value that a loader has made. */
export interface LoadedValue {
  readonly value: unknown
  readonly loadMs: number
  readonly late: readonly TagRecord[]
  readonly isSkipped: boolean
  readonly entry: ResolvedEntryOptions
  readonly right: LoadRight | undefined
}

/** How long a value that outlived its loader's failure is served before the loader is tried again. */
const RETRY_AFTER_FAILURE_MS = 1_000

/** Keeps values in both tiers, unless an invalidation has met them on the way. */
export class EntryStore {
  readonly #options: EntryStoreOptions

  constructor(options: EntryStoreOptions) {
    this.#options = options
  }

  /** Keeps what a loader made: in Redis while its lease is ours, and in memory if Redis took it. */
  async keepLoaded(flight: Flight, loaded: LoadedValue): Promise<void> {
    const { state, leased, random } = this.#options
    const { value, loadMs, late, entry, right } = loaded
    const isNothing = value === undefined || value === null
    const isNegative = isNothing && entry.negativeTtlMs !== undefined
    const isStorable =
      !loaded.isSkipped && (value !== undefined || (isNegative && entry.negativeTtlMs !== 0))
    const tags = late.length === 0 ? flight.tags : [...new Set([...flight.tags, ...late])]
    if (isStorable && right !== undefined && late.length > 0)
      await leased?.resolveLateTags(flight, late)
    const isOutdated =
      flight.fence.isBroken ||
      !areTagsCurrent(tags, flight.startEpoch) ||
      tags.some(({ version }) => version > flight.startVersion)
    if (!isStorable || isOutdated) {
      if (right !== undefined) leased?.giveUp(flight, right)
      return
    }
    const facts = factsOf(entry, { isNegative, loadMs, random })
    if (leased === undefined) {
      this.#remember(flight.key, value, facts, {
        ageMs: 0,
        fence: flight.fence,
        tags,
        sinceMs: undefined,
      })
      return
    }
    const isTaken =
      right === undefined
        ? 'unreachable'
        : await leased.fill(flight, right, { value, facts, isNegative, tags, codec: entry.codec })
    if (isTaken === 'refused' || !areTagsCurrent(tags, flight.startEpoch)) return
    const isUntrusted = isTaken === 'unreachable' || !this.#isTrusted()
    const sinceMs = isUntrusted ? flight.startMs : undefined
    this.#remember(flight.key, value, facts, { ageMs: 0, fence: flight.fence, tags, sinceMs })
    state.sawVersion(flight.startVersion)
  }

  /** Keeps in memory what Redis had. */
  keepRead(key: string, read: Extract<SharedRead, { kind: 'hit' }>, fence: Fence): void {
    const { state } = this.#options
    if (this.#options.memory === undefined) return
    const { header, ageMs } = read
    const facts = { ...header, earlyRefresh: header.isNegative ? 0 : this.#options.earlyRefresh }
    const tags = header.tags.map((tag) => state.tags.record(tag))
    // Fences tell of keys and patterns; a tag may have been invalidated since the entry was judged.
    if (tags.some(({ version }) => version > header.version)) return
    const sinceMs = this.#isTrusted() ? undefined : read.askedMs
    this.#remember(key, read.value, facts, {
      ageMs,
      fence,
      tags,
      sinceMs,
      sizeBytes: read.sizeBytes,
    })
  }

  /** Keeps in memory what this process has written. `sinceMs`: Redis does not have it. */
  keepWritten(
    fence: Fence,
    value: unknown,
    facts: LifeFacts,
    tags: readonly TagRecord[],
    sinceMs: number | undefined,
  ): void {
    const untrustedSinceMs =
      sinceMs ?? (this.#isTrusted() ? undefined : this.#options.clock.monotonicMs())
    this.#remember(fence.key, value, facts, { ageMs: 0, fence, tags, sinceMs: untrustedSinceMs })
  }

  /** After a failed load, lets the older value serve for a moment, so that not every read tries again. */
  extendStale(flight: Flight, entry: ResolvedEntryOptions): void {
    const { memory, state } = this.#options
    if (memory === undefined || flight.stale === undefined || flight.fence.isBroken) return
    if (!areTagsCurrent(flight.tags, flight.startEpoch)) return
    memory.store(flight.key, flight.stale.value, {
      freshForMs: RETRY_AFTER_FAILURE_MS,
      keepForMs: Math.max(RETRY_AFTER_FAILURE_MS, entry.graceMs),
      tags: flight.tags,
      stamp: state.epoch,
      isSelfTimed: true,
    })
  }

  #isTrusted(): boolean {
    return this.#options.clock.monotonicMs() <= this.#options.state.trustedUntilMs
  }

  #remember(
    key: string,
    value: unknown,
    facts: LifeFacts,
    {
      ageMs,
      fence,
      tags,
      sinceMs,
      sizeBytes,
    }: {
      readonly ageMs: number
      readonly fence: Fence
      readonly tags: readonly TagRecord[]
      /** Where this process is not sure to hear of invalidations: since when it may be outdated. */
      readonly sinceMs: number | undefined
      readonly sizeBytes?: number
    },
  ): void {
    const { memory, state, random, clock, maxStalenessMs } = this.#options
    if (memory === undefined || fence.isBroken) return
    const life = lifeAt(ageMs, facts, random)
    const limitMs =
      sinceMs === undefined
        ? Number.POSITIVE_INFINITY
        : sinceMs + maxStalenessMs - clock.monotonicMs()
    memory.store(key, value, {
      freshForMs: Math.min(life.freshForMs, limitMs),
      serveForMs: Math.min(life.serveForMs, limitMs),
      keepForMs: facts.graceMs > 0 ? life.keepForMs : Math.min(life.keepForMs, limitMs),
      tags,
      stamp: state.epoch,
      sizeBytes,
      isSelfTimed: sinceMs !== undefined,
    })
  }
}
