import type { Codec } from './codec.ts'

/** How long an entry lives and what belongs to it. Durations in milliseconds, at most 2^32 - 1 (49 days). */
export interface EntryOptions {
  /** How long an entry is fresh. At least 1. @default 300_000 */
  readonly ttlMs?: number | undefined
  /** How long after that it is still served, while one reload runs behind. @default 0 */
  readonly staleMs?: number | undefined
  /** How long after `ttlMs` it is kept for the case that the loader or Redis fails. @default 0 */
  readonly graceMs?: number | undefined
  /** How long it is remembered that there is nothing (`undefined` or `null`). @default not at all */
  readonly negativeTtlMs?: number | undefined
  /** Share of the TTL, 0 to 1, that is cut off at random, so that entries do not expire together. @default 0.05 */
  readonly jitterRatio?: number | undefined
  /**
   * Weight of probabilistic early refresh: shortly before an entry expires, the earlier the longer its
   * loader takes, one reload runs behind. 0 for never, 1 is the optimum of the paper. @default 0
   */
  readonly earlyRefresh?: number | undefined
  /** What the entry depends on: `invalidateTags` drops all entries that have one of them. @default none */
  readonly tags?: readonly string[] | undefined
  /** @default the cache's codec */
  readonly codec?: Codec | undefined
  /** Whether a value read from Redis is understood; one that is not counts as a miss. @default all are */
  readonly isValid?: ((value: unknown) => boolean) | undefined
}

/** Options of one load. */
export interface LoadOptions extends EntryOptions {
  /** With something stale at hand, how long a caller waits for the load before it takes that. @default for ever */
  readonly softTimeoutMs?: number | undefined
  /** When the load is given up, and its signal aborts. @default 30_000 */
  readonly loadTimeoutMs?: number | undefined
  /** True: load, whatever is there. @default false */
  readonly refresh?: boolean | undefined
  /** Ends this caller's wait; the load goes on for the others, and is aborted when there are none. */
  readonly signal?: AbortSignal | undefined
}

/** What a loader is given, and may say of its value. */
export interface LoadContext<Value = unknown> {
  readonly key: string
  /** Aborts when the load takes too long, when nobody waits for it, or when the cache is closed. */
  readonly signal: AbortSignal
  /** The value that is there but not fresh any more, if any. */
  readonly staleValue: Value | undefined
  setTtl(ttlMs: number): void
  /** Adds tags that are known only now. */
  setTags(tags: readonly string[]): void
  /** The value is returned, but not stored. */
  skip(): void
}

export type Loader<Value> = (context: LoadContext<Value>) => Value | Promise<Value>

/** {@link EntryOptions} with every default in place. */
export interface ResolvedEntryOptions {
  readonly ttlMs: number
  readonly staleMs: number
  readonly graceMs: number
  readonly negativeTtlMs: number | undefined
  readonly jitterRatio: number
  readonly earlyRefresh: number
  readonly tags: readonly string[]
  readonly codec: Codec | undefined
  readonly isValid: ((value: unknown) => boolean) | undefined
}

const NO_TAGS: readonly string[] = []
const MAX_DURATION_MS = 2 ** 32 - 1

export const ENTRY_DEFAULTS: ResolvedEntryOptions = {
  ttlMs: 300_000,
  staleMs: 0,
  graceMs: 0,
  negativeTtlMs: undefined,
  jitterRatio: 0.05,
  earlyRefresh: 0,
  tags: NO_TAGS,
  codec: undefined,
  isValid: undefined,
}

/** Options over defaults. @throws RangeError naming option, limit and value. */
export function resolveEntryOptions(
  options: EntryOptions | undefined,
  defaults: ResolvedEntryOptions,
): ResolvedEntryOptions {
  if (options === undefined) return defaults
  const resolved: ResolvedEntryOptions = {
    ttlMs: options.ttlMs ?? defaults.ttlMs,
    staleMs: options.staleMs ?? defaults.staleMs,
    graceMs: options.graceMs ?? defaults.graceMs,
    negativeTtlMs: options.negativeTtlMs ?? defaults.negativeTtlMs,
    jitterRatio: options.jitterRatio ?? defaults.jitterRatio,
    earlyRefresh: options.earlyRefresh ?? defaults.earlyRefresh,
    tags: options.tags ?? defaults.tags,
    codec: options.codec ?? defaults.codec,
    isValid: options.isValid ?? defaults.isValid,
  }
  checkNumber('ttlMs', resolved.ttlMs, 1, MAX_DURATION_MS)
  checkNumber('staleMs', resolved.staleMs, 0, MAX_DURATION_MS)
  checkNumber('graceMs', resolved.graceMs, 0, MAX_DURATION_MS)
  checkNumber('negativeTtlMs', resolved.negativeTtlMs ?? 0, 0, MAX_DURATION_MS)
  checkNumber('jitterRatio', resolved.jitterRatio, 0, 1)
  checkNumber('earlyRefresh', resolved.earlyRefresh, 0, 100)
  return resolved
}

/** @throws RangeError naming option, limit and value. */
export function checkNumber(option: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return
  throw new RangeError(`${option} must be a number from ${min} to ${max}, got ${value}`)
}

/** @throws TypeError when it is no string, RangeError when it is empty. */
export function checkKey(key: string): void {
  if (typeof key !== 'string')
    throw new TypeError(`a cache key must be a string, got ${typeof key}`)
  if (key === '') throw new RangeError('a cache key must not be empty')
}
