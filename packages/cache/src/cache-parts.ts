import { checkCacheOptions, type CacheLimits, type CacheOptions } from './cache-options.ts'
import type { CacheHealth, CacheStats } from './cache-stats.ts'
import { ENTRY_DEFAULTS, resolveEntryOptions, type ResolvedEntryOptions } from './entry-options.ts'
import { EntryStore } from './entry-store.ts'
import { Fences } from './fences.ts'
import { InvalidationState } from './invalidation/invalidation-state.ts'
import { Invalidations } from './invalidations.ts'
import { KeyWaiters } from './key-waiters.ts'
import { LeasedLoads } from './leased-loads.ts'
import { Loads } from './loads.ts'
import { ManyLoads } from './many-loads.ts'
import { MemoryTier } from './memory/index.ts'
import { MAX_PATTERNS, RedisSide } from './redis-side.ts'
import { createTallies, type Tallies } from './tally.ts'
import { Writes } from './writes.ts'

/** What a cache is made of. */
export interface CacheParts {
  readonly limits: CacheLimits
  readonly defaults: ResolvedEntryOptions
  readonly tallies: Tallies
  readonly state: InvalidationState
  readonly memory: MemoryTier | undefined
  readonly side: RedisSide | undefined
  readonly invalidations: Invalidations
  readonly loads: Loads
  readonly writes: Writes
  readonly many: ManyLoads
}

const MAX_TAGS = 100_000

/** Makes the parts and ties them. @throws RangeError or TypeError naming the option that is wrong. */
export function assembleCache(options: CacheOptions): CacheParts {
  const limits = checkCacheOptions(options)
  const defaults = resolveEntryOptions(options.defaults ?? {}, ENTRY_DEFAULTS)
  const { clock, random, maxStalenessMs, timeoutMs, leaseMs, leaseWaitMs } = limits
  const tallies = createTallies(options.namespace, options.metrics)
  const isShared = options.redis !== undefined
  const state: InvalidationState = new InvalidationState({
    isShared,
    maxPatterns: MAX_PATTERNS,
    maxTags: MAX_TAGS,
    oldestLoadVersion: () => loads.oldestVersion(),
    onEpochsExhausted: () => memory?.clear(),
  })
  const memory = createMemory(options, limits, state)
  const fences = new Fences()
  const waiters = new KeyWaiters(clock)
  const onError = (error: unknown): void => {
    tallies.errors.inc()
    options.onError?.(error)
  }
  const onDegraded = options.onDegraded ?? ((): void => undefined)
  const side =
    options.redis === undefined
      ? undefined
      : new RedisSide({
          target: options.redis,
          cache: options,
          limits,
          state,
          onError,
          onEvent: (event) => invalidations.apply(event),
          onRestart: (position, isRollback) => invalidations.restart(position, isRollback),
          onReachable: (isReachable) => {
            if (isReachable) void invalidations.drain()
            else {
              const pending = invalidations.journal.size
              onDegraded({ reason: 'redis-unavailable', pending, cause: undefined })
            }
          },
        })
  const invalidations: Invalidations = new Invalidations({
    clock,
    state,
    fences,
    waiters,
    memory,
    writer: side?.writer,
    isReachable: () => side?.runner.isUsable === true,
    origin: side?.origin ?? '',
    onDegraded,
    onError,
  })
  const isUsable = (): boolean => side?.runner.isUsable === true && invalidations.journal.isEmpty
  const leased =
    side === undefined
      ? undefined
      : new LeasedLoads({
          clock,
          state,
          shared: side.shared,
          layout: side.layout,
          format: side.format,
          waiters,
          leaseMs,
          leaseWaitMs,
          isUsable,
          store: () => store,
          onRead: (read) => (read.kind === 'hit' ? tallies.redisHits : tallies.misses).inc(),
          onError,
        })
  const { earlyRefresh } = defaults
  const store: EntryStore = new EntryStore({
    clock,
    state,
    memory,
    leased,
    maxStalenessMs,
    earlyRefresh,
    random,
  })
  const loads: Loads = new Loads({
    clock,
    state,
    fences,
    store,
    leased,
    onError,
    onLoad: (durationMs, isFailed) => {
      ;(isFailed ? tallies.loadFailures : tallies.loads).inc()
      tallies.loadSeconds.observe(durationMs / 1_000)
    },
  })
  const writes = new Writes({
    clock,
    state,
    fences,
    memory,
    store,
    invalidations,
    side,
    timeoutMs,
    random,
  })
  const many = new ManyLoads({
    shared: side?.shared,
    isUsable,
    hasMemory: memory !== undefined,
    fences,
    store,
    onError,
  })
  return { limits, defaults, tallies, state, memory, side, invalidations, loads, writes, many }
}

/** The numbers of {@link CacheStats} as they are now. */
export function statsOf({ tallies, invalidations, memory, loads }: CacheParts): CacheStats {
  return {
    memoryHits: tallies.memoryHits.value,
    redisHits: tallies.redisHits.value,
    staleHits: tallies.staleHits.value,
    misses: tallies.misses.value,
    loads: tallies.loads.value,
    loadFailures: tallies.loadFailures.value,
    loadMs: tallies.loadSeconds.sum * 1_000,
    sets: tallies.sets.value,
    invalidations: tallies.invalidations.value,
    invalidationsHeard: invalidations.heard,
    evictions: memory?.evictions ?? 0,
    entries: memory?.size ?? 0,
    entryBytes: memory?.sizeBytes ?? 0,
    loadsUnderWay: loads.size,
    pendingInvalidations: invalidations.journal.size,
    errors: tallies.errors.value,
  }
}

/** What keeps a cache from doing all that it could. */
export function healthOf({ side, limits, state, invalidations }: CacheParts): CacheHealth {
  const reasons: string[] = []
  if (side !== undefined) {
    if (!side.runner.isUsable) reasons.push('Redis does not answer')
    if (limits.clock.monotonicMs() > state.trustedUntilMs) {
      reasons.push('the log of invalidations was not read in time')
    }
    if (!invalidations.journal.isEmpty) reasons.push('invalidations wait for Redis')
  }
  return { status: reasons.length === 0 ? 'up' : 'degraded', reasons }
}

function createMemory(
  { memory = {} }: CacheOptions,
  { clock }: CacheLimits,
  view: InvalidationState,
): MemoryTier | undefined {
  if (memory === false) return undefined
  return new MemoryTier({
    ...(memory.maxEntries === undefined ? {} : { maxEntries: memory.maxEntries }),
    ...(memory.maxBytes === undefined ? {} : { maxBytes: memory.maxBytes }),
    clock,
    view,
  })
}
