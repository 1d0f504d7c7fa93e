import type { ResolvedEntryOptions } from './entry-options.ts'

/** How much of an entry's life is left, from now. Zero or less where a phase is over. */
export interface EntryLife {
  readonly freshForMs: number
  readonly serveForMs: number
  readonly keepForMs: number
}

export interface LifeFacts {
  readonly ttlMs: number
  readonly staleMs: number
  readonly graceMs: number
  /** How long its loader took. */
  readonly loadMs: number
  readonly earlyRefresh: number
}

/**
 * What is left of a life at an age. Early refresh is XFetch (Vattani, Chierichetti, Lowenstein:
 * "Optimal probabilistic cache stampede prevention", VLDB 2015), with its random draw made once when
 * a process takes the entry up instead of at each read, so that a hit costs nothing more.
 */
export function lifeAt(ageMs: number, facts: LifeFacts, random: () => number): EntryLife {
  const { ttlMs, staleMs, graceMs, loadMs, earlyRefresh } = facts
  const leftMs = ttlMs - ageMs
  const earlyMs = earlyRefresh === 0 ? 0 : -loadMs * earlyRefresh * Math.log(1 - random())
  return {
    freshForMs: leftMs - earlyMs,
    serveForMs: leftMs + staleMs,
    keepForMs: leftMs + Math.max(staleMs, graceMs),
  }
}

/** A TTL with up to `jitterRatio` of it cut off. */
export function jitteredTtlMs(ttlMs: number, jitterRatio: number, random: () => number): number {
  if (jitterRatio === 0) return ttlMs
  return Math.max(1, Math.round(ttlMs * (1 - jitterRatio * random())))
}

/** Facts of a new entry: a negative one has a TTL of its own and is never served late. */
export function factsOf(
  options: ResolvedEntryOptions,
  {
    isNegative,
    loadMs,
    random,
  }: { readonly isNegative: boolean; readonly loadMs: number; readonly random: () => number },
): LifeFacts {
  const { ttlMs, staleMs, graceMs, jitterRatio, earlyRefresh, negativeTtlMs } = options
  if (isNegative && negativeTtlMs !== undefined) {
    return { ttlMs: Math.max(1, negativeTtlMs), staleMs: 0, graceMs: 0, loadMs, earlyRefresh: 0 }
  }
  return {
    ttlMs: jitteredTtlMs(ttlMs, jitterRatio, random),
    staleMs,
    graceMs,
    loadMs,
    earlyRefresh,
  }
}
