/** What a cache has done since its start, and what it holds. */
export interface CacheStats {
  readonly memoryHits: number
  readonly redisHits: number
  /** Hits that were served while a reload ran behind. Counted among the hits of their tier too. */
  readonly staleHits: number
  readonly misses: number
  readonly loads: number
  readonly loadFailures: number
  /** Time that loaders took. */
  readonly loadMs: number
  readonly sets: number
  readonly invalidations: number
  /** Invalidations of other processes that were heard of. */
  readonly invalidationsHeard: number
  readonly evictions: number
  readonly entries: number
  readonly entryBytes: number
  readonly loadsUnderWay: number
  /** Names that Redis has not been told of. */
  readonly pendingInvalidations: number
  readonly errors: number
}

/** How a cache fares: `degraded` answers, but not from Redis, or not from memory. */
export interface CacheHealth {
  readonly status: 'up' | 'degraded'
  readonly reasons: readonly string[]
}
