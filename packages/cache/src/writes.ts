import type { Clock } from '@dharma/core'
import { factsOf } from './entry-life.ts'
import type { ResolvedEntryOptions } from './entry-options.ts'
import type { EntryStore } from './entry-store.ts'
import { RedisUnavailableError } from './errors.ts'
import type { Fences } from './fences.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import type { InvalidationResult, Invalidations } from './invalidations.ts'
import type { MemoryTier } from './memory/index.ts'
import type { RedisSide } from './redis-side.ts'

export interface WritesOptions {
  readonly clock: Clock
  readonly state: InvalidationState
  readonly fences: Fences
  readonly memory: MemoryTier | undefined
  readonly store: EntryStore
  readonly invalidations: Invalidations
  readonly side: RedisSide | undefined
  readonly timeoutMs: number
  readonly random: () => number
}

/** Writes entries: to Redis, to the log for the others, and to memory. */
export class Writes {
  readonly #options: WritesOptions

  constructor(options: WritesOptions) {
    this.#options = options
  }

  /** @throws ValueEncodingError before anything is touched. */
  async set(key: string, value: unknown, entry: ResolvedEntryOptions): Promise<InvalidationResult> {
    const { state, fences, memory, store, side, random, clock, timeoutMs } = this.#options
    const isNegative = (value === undefined || value === null) && entry.negativeTtlMs !== undefined
    const facts = factsOf(entry, { isNegative, loadMs: 0, random })
    const encoded = side?.format.encode(
      side.layout.entry(key),
      value,
      { ...facts, isNegative, tags: entry.tags },
      entry.codec,
    )
    fences.break(key)
    memory?.remove(key)
    const tags = entry.tags.map((tag) => state.tags.record(tag))
    const fence = fences.open(key)
    const beganMs = clock.monotonicMs()
    try {
      if (side === undefined || encoded === undefined) {
        store.keepWritten(fence, value, facts, tags, undefined)
        return { status: 'done' }
      }
      await this.#options.invalidations.settled()
      await side.shared.ensureTags(tags)
      const lifeMs = facts.ttlMs + Math.max(facts.staleMs, facts.graceMs)
      const { serverMs } = side.shared
      const reply = await side.writer.write(key, encoded, lifeMs, {
        version: state.version,
        // A cluster's nodes have a clock each, so one of them cannot judge by another's.
        notAfterMs:
          serverMs === undefined || side.runner.link.isCluster ? undefined : serverMs + timeoutMs,
      })
      if (!reply.isStored) throw new RedisUnavailableError()
      state.sawVersion(reply.version)
      this.#options.invalidations.remember({ keys: [key] })
      store.keepWritten(fence, value, facts, tags, undefined)
      return { status: 'done' }
    } catch (error) {
      // The write may still arrive, or not: what Redis holds for the key is not to be trusted.
      this.#options.invalidations.postpone({ keys: [key] }, error)
      store.keepWritten(fence, value, facts, tags, beganMs)
      return { status: 'pending' }
    } finally {
      fences.close(fence)
    }
  }
}
