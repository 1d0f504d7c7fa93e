import { systemClock, type Clock } from '@dharma/core'

export interface CachedCollectionsOptions {
  /**
   * What sets the keys and tags of this database apart from others in the same cache.
   * @default the replica set's name and members, and the database; give one for a server alone
   */
  readonly scope?: string | undefined
  /**
   * What to do with a query that cannot be cached: reject with `NotCacheableError`, or run it each
   * time. @default 'throw'
   */
  readonly onRefused?: 'throw' | 'bypass' | undefined
  /** How long it is believed which collections are views, and of what. Above 0. @default 60_000 */
  readonly catalogTtlMs?: number | undefined
  /** Errors that no caller waits for: invalidations that failed, changes not followed. @default ignored */
  readonly onError?: ((error: unknown) => void) | undefined
  /** @default systemClock */
  readonly clock?: Clock | undefined
}

export interface CachedCollectionsSettings {
  readonly scope: string | undefined
  readonly onRefused: 'throw' | 'bypass'
  readonly catalogTtlMs: number
  readonly onError: (error: unknown) => void
  readonly clock: Clock
}

/** @throws RangeError naming option, limit and value */
export function resolveCachedCollectionsOptions({
  scope,
  onRefused = 'throw',
  catalogTtlMs = 60_000,
  onError = () => undefined,
  clock = systemClock,
}: CachedCollectionsOptions): CachedCollectionsSettings {
  if (!(catalogTtlMs > 0)) {
    throw new RangeError(`catalogTtlMs must be above 0, got ${catalogTtlMs}`)
  }
  return { scope, onRefused, catalogTtlMs, onError, clock }
}
