import { systemClock, type Clock } from '@dharma/core'

export interface CachedQueriesOptions {
  /**
   * What sets the keys and tags of this database apart from others in the same cache.
   * @default the server's identity, its database, the role, and the settings that results depend on
   */
  readonly scope?: string | undefined
  /**
   * What to do with a statement that cannot be cached: reject with `NotCacheableError`, or run it
   * each time. @default 'throw'
   */
  readonly onRefused?: 'throw' | 'bypass' | undefined
  /**
   * How long what the server's catalogue says is believed. Changes of the schema that pass through
   * this manager are known at once. Above 0. @default 60_000
   */
  readonly catalogTtlMs?: number | undefined
  readonly declared?: DeclaredEffects | undefined
  /** Told of each read that the cache could answer, for statistics. */
  readonly onHit?: ((text: string) => void) | undefined
  /** Errors that no caller waits for: invalidations that failed and are repeated. @default ignored */
  readonly onError?: ((error: unknown) => void) | undefined
  /** @default systemClock */
  readonly clock?: Clock | undefined
}

/** What no parse tree can tell. Tables are written as in SQL, functions as `schema.name`. */
export interface DeclaredEffects {
  /** Tables that a stable function of yours reads. @default a statement that calls one is refused */
  readonly functionReads?: Readonly<Record<string, readonly string[]>> | undefined
  /** Tables that a volatile function or procedure of yours writes. @default it may have written any */
  readonly functionWrites?: Readonly<Record<string, readonly string[]>> | undefined
  /** Tables that the triggers, rules and defaults of a table write. @default a write to it may have written any */
  readonly triggerWrites?: Readonly<Record<string, readonly string[]>> | undefined
}

export interface CachedQueriesSettings {
  readonly scope: string | undefined
  readonly onRefused: 'throw' | 'bypass'
  readonly catalogTtlMs: number
  readonly declared: Required<{ readonly [Name in keyof DeclaredEffects]: DeclaredEffects[Name] }>
  readonly onHit: ((text: string) => void) | undefined
  readonly onError: (error: unknown) => void
  readonly clock: Clock
}

/** @throws RangeError naming option, limit and value */
export function resolveCachedQueriesOptions({
  scope,
  onRefused = 'throw',
  catalogTtlMs = 60_000,
  declared: { functionReads = {}, functionWrites = {}, triggerWrites = {} } = {},
  onHit,
  onError = () => undefined,
  clock = systemClock,
}: CachedQueriesOptions): CachedQueriesSettings {
  if (!(catalogTtlMs > 0)) {
    throw new RangeError(`catalogTtlMs must be above 0, got ${catalogTtlMs}`)
  }
  const declared = { functionReads, functionWrites, triggerWrites }
  return { scope, onRefused, catalogTtlMs, declared, onHit, onError, clock }
}
