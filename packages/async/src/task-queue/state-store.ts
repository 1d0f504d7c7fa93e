/**
 * Small shared state beside the jobs: workflows, schedules, checkpoints, kept results, rate limits.
 * Every operation is atomic, and once one has resolved, all processes see its effect.
 */
export interface StateStore {
  get(key: string): Promise<StateEntry | undefined>
  /**
   * Stores a value. With `ifVersion` only over that version, 0 being none; `false` if it is another.
   */
  put(key: string, value: string, options?: PutOptions): Promise<boolean>
  remove(key: string): Promise<void>
  /**
   * Adds fields to a map, each only if it is not there yet, and resolves to how many there are then.
   * Of concurrent calls the last one to resolve counts the fields of all. The whole map is kept for
   * `ttlMs` from now.
   */
  record(map: string, fields: Readonly<Record<string, string>>, ttlMs?: number): Promise<number>
  fields(map: string): Promise<Readonly<Record<string, string>>>
  /** Removes one field of a map. */
  forget(map: string, field: string): Promise<void>
  /** Grants up to `count` uses under a limit shared by all who name the same key. */
  take(key: string, limit: RateLimit, count: number): Promise<RateGrant>
}

export interface StateEntry {
  readonly value: string
  /** Counts the writes since the key is there, from 1. */
  readonly version: number
}

export interface PutOptions {
  readonly ttlMs?: number
  readonly ifVersion?: number
}

/** `max` uses at once, and as many again in each `perMs`, spread evenly over it. */
export interface RateLimit {
  /** At least 1. */
  readonly max: number
  /** In milliseconds, above 0. */
  readonly perMs: number
}

export interface RateGrant {
  readonly granted: number
  /** When the next use will be granted; 0 if all were. */
  readonly retryAfterMs: number
}

/** The state of a limiter: when its bucket will be full again. Source: GCRA, ITU-T I.371. */
export function takeFromBucket(
  fullAtMs: number,
  { max, perMs }: RateLimit,
  count: number,
  nowMs: number,
): RateGrant & { readonly fullAtMs: number } {
  const eachMs = perMs / max
  const start = Math.max(fullAtMs, nowMs)
  const room = Math.floor((nowMs + perMs - start) / eachMs + 1e-9)
  const granted = Math.max(0, Math.min(count, room))
  const until = start + granted * eachMs
  const retryAfterMs =
    granted === count ? 0 : Math.max(1, Math.ceil(until + eachMs - nowMs - perMs))
  return { granted, retryAfterMs, fullAtMs: until }
}
