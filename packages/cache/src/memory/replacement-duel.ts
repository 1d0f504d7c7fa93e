import { ShadowCache } from './shadow-cache.ts'

/** Entries of a shadow, about, where the cache may have as many. */
const SHADOW_ENTRIES = 256
/** Shadows of fewer entries, in a cache of more, would judge by chance. */
const MIN_SHADOW_ENTRIES = 48
/** Reads over which a lead is kept, for each entry of a shadow. */
const WINDOW = 8
/** Square roots of the window that a lead must reach before the way changes: chance makes less. */
const MARGIN = 0.15

/** Which keys take part, of a cache that may have so many entries: one in so many powers of two. */
export function sampleBits(maxEntries: number): number {
  return Math.max(0, Math.round(Math.log2(maxEntries / SHADOW_ENTRIES)))
}

/** Whether the key of a hash takes part. */
export function isSampled(hash: number, bits: number): boolean {
  return bits === 0 || hash >>> (32 - bits) === 0
}

/**
 * Chooses between two ways of replacement: both run on a sample of the keys, in shadows that hold no
 * values, and the one that hits more is followed. Source of the idea: Qureshi et al., "Adaptive
 * insertion policies for high performance caching", ISCA 2007 (set dueling).
 */
export class ReplacementDuel {
  readonly #frequency: ShadowCache
  readonly #recency: ShadowCache
  readonly #decay: number
  readonly #margin: number
  /** Hits that recency had more, the older the less they count. */
  #lead = 0
  #favoursRecency = false

  private constructor(room: number) {
    this.#frequency = new ShadowCache(room, false)
    this.#recency = new ShadowCache(room, true)
    this.#decay = 1 - 1 / (room * WINDOW)
    this.#margin = Math.sqrt(room * WINDOW) * MARGIN
  }

  /** For a full cache of so many entries; undefined where the sample would tell nothing. */
  static begin(entries: number, bits: number): ReplacementDuel | undefined {
    const room = Math.round(entries / 2 ** bits)
    return bits > 0 && room < MIN_SHADOW_ENTRIES ? undefined : new ReplacementDuel(room)
  }

  /** Whether what was read last is worth more than what was read often. */
  get favoursRecency(): boolean {
    return this.#favoursRecency
  }

  /** A read of a key that takes part. */
  read(hash: number): void {
    const recencyHit = this.#recency.read(hash)
    const frequencyHit = this.#frequency.read(hash)
    this.#lead *= this.#decay
    if (recencyHit === frequencyHit) return
    this.#lead += recencyHit ? 1 : -1
    if (Math.abs(this.#lead) > this.#margin) this.#favoursRecency = this.#lead > 0
  }
}
