import type { Clock } from '@dharma/core'
import { factsOf, type LifeFacts } from './entry-life.ts'
import type { ResolvedEntryOptions } from './entry-options.ts'
import type { EntryStore } from './entry-store.ts'
import { RedisUnavailableError } from './errors.ts'
import type { Fence, Fences } from './fences.ts'
import { areTagsCurrent } from './invalidation-view.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import type { InvalidationResult, Invalidations } from './invalidations.ts'
import type { MemoryTier } from './memory/index.ts'
import type { EncodedEntry } from './redis/entry-format.ts'
import type { EntryToWrite } from './redis/invalidation-writer.ts'
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

interface Prepared {
  readonly key: string
  readonly value: unknown
  readonly facts: LifeFacts
  /** Undefined where there is no Redis. */
  readonly encoded: EncodedEntry | undefined
}

interface Opened {
  readonly prepared: Prepared
  readonly fence: Fence
}

/** Entries in one pipeline: larger ones would not be through within one command's time. */
const MAX_BATCH = 256
const DONE: InvalidationResult = { status: 'done' }

/** Writes entries: to Redis, to the log for the others, and to memory. */
export class Writes {
  readonly #options: WritesOptions

  constructor(options: WritesOptions) {
    this.#options = options
  }

  /**
   * Writes entries; of several for one key, the last.
   * @throws ValueEncodingError before anything is touched.
   */
  async set(
    entries: Iterable<readonly [string, unknown]>,
    entry: ResolvedEntryOptions,
  ): Promise<InvalidationResult> {
    const { state, fences, memory, store, side, clock } = this.#options
    const wanted = Array.from(new Map(entries), ([key, value]) => this.#prepare(key, value, entry))
    for (const { key } of wanted) {
      fences.break(key)
      memory?.remove(key)
    }
    const tags = state.tags.hold(entry.tags)
    const startEpoch = state.epoch
    const opened = wanted.map((prepared) => ({ prepared, fence: fences.open(prepared.key) }))
    const keep = ({ fence, prepared }: Opened, sinceMs: number | undefined): void => {
      const { value, facts } = prepared
      // A tag may have been invalidated meanwhile: here, or elsewhere and told by the log before Redis acknowledges.
      if (areTagsCurrent(tags, startEpoch)) store.keepWritten(fence, value, facts, tags, sinceMs)
    }
    const beganMs = clock.monotonicMs()
    let done = 0
    try {
      if (side === undefined) {
        for (; done < opened.length; done++) keep(opened[done] as Opened, undefined)
        return DONE
      }
      await this.#options.invalidations.settled()
      await side.shared.ensureTags(tags)
      while (done < opened.length) {
        const batch = opened.slice(done, done + MAX_BATCH)
        await this.#write(
          side,
          batch.map(({ prepared }) => prepared),
        )
        for (const one of batch) keep(one, undefined)
        done += batch.length
      }
      return DONE
    } catch (error) {
      // The writes may still arrive, or not: what Redis holds for the keys is not to be trusted.
      const rest = opened.slice(done)
      this.#options.invalidations.postpone({ keys: rest.map(({ fence }) => fence.key) }, error)
      for (const one of rest) keep(one, beganMs)
      return { status: 'pending' }
    } finally {
      for (const { fence } of opened) fences.close(fence)
      state.tags.release(tags)
    }
  }

  #prepare(key: string, value: unknown, entry: ResolvedEntryOptions): Prepared {
    const { side, random } = this.#options
    const isNegative = (value === undefined || value === null) && entry.negativeTtlMs !== undefined
    const facts = factsOf(entry, { isNegative, loadMs: 0, random })
    const encoded = side?.format.encode(
      side.layout.entry(key),
      value,
      { ...facts, isNegative, tags: entry.tags },
      entry.codec,
    )
    return { key, value, facts, encoded }
  }

  /** @throws RedisUnavailableError unless all were stored. */
  async #write(side: RedisSide, batch: readonly Prepared[]): Promise<void> {
    const { state, timeoutMs, invalidations } = this.#options
    const { serverMs } = side.shared
    const entries: EntryToWrite[] = []
    for (const { key, encoded, facts } of batch) {
      const lifeMs = facts.ttlMs + Math.max(facts.staleMs, facts.graceMs)
      if (encoded !== undefined) entries.push({ key, encoded, lifeMs })
    }
    const { areStored, version } = await side.writer.write(entries, {
      version: state.version,
      // A cluster's nodes have a clock each, so one of them cannot judge by another's.
      notAfterMs:
        serverMs === undefined || side.runner.link.isCluster ? undefined : serverMs + timeoutMs,
    })
    if (!areStored.every(Boolean)) throw new RedisUnavailableError()
    state.sawVersion(version)
    invalidations.remember({ keys: entries.map(({ key }) => key) })
  }
}
