/** What a loader is told by the cache. */
export interface QueryCacheContext {
  /** Aborts when nobody waits for the load any more. */
  readonly signal?: AbortSignal | undefined
}

export interface QueryCacheOptions {
  readonly ttlMs: number
  readonly tags: readonly string[]
  /** How long after the TTL it is still served, while one reload runs behind. */
  readonly staleMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * What the room needs of a cache; that of `@dharma/cache` fits as it is. Its one duty beyond
 * storing: a value whose load began before one of its tags was invalidated is not stored, and not
 * given to a caller that came after the invalidation.
 */
export interface QueryCache {
  get<Value>(key: string): Promise<Value | undefined>
  getOrLoad<Value>(
    key: string,
    load: (context: QueryCacheContext) => Value | Promise<Value>,
    options: QueryCacheOptions,
  ): Promise<Value>
  /** Resolves when no later read of this process finds an entry that has one of the tags. */
  invalidateTags(tags: readonly string[]): Promise<unknown>
}
