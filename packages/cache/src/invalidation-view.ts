/**
 * A tag as this process knows it. Entries in memory refer to it directly, so that a hit compares
 * one number per tag and looks nothing up.
 */
export interface TagRecord {
  readonly name: string
  /** Version of the last invalidation; -1 while not known. */
  version: number
  /** {@link InvalidationView.epoch} at which `version` last changed. */
  epoch: number
  /** Entries in memory, and loads and writes under way, that refer to this record. */
  references: number
}

/** What this process has heard of invalidations, in the form that a memory hit can check. */
export interface InvalidationView {
  /** Grows with each invalidation of a tag, a pattern or everything that this process hears of. */
  readonly epoch: number
  /** Epoch of the last invalidation by pattern or of everything. */
  readonly patternEpoch: number
  /** Monotonic time until which this process may trust to have heard of everything in time. */
  readonly trustedUntilMs: number
  /** Whether a pattern that was invalidated after `sinceEpoch` matches the key. */
  isKeyInvalidated(key: string, sinceEpoch: number): boolean
}

/** Whether none of the tags was invalidated after `stampEpoch`. */
export function areTagsCurrent(tags: readonly TagRecord[], stampEpoch: number): boolean {
  for (let index = 0; index < tags.length; index++) {
    if ((tags[index] as TagRecord).epoch > stampEpoch) return false
  }
  return true
}
