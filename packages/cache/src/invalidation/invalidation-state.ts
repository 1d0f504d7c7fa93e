import type { InvalidationView, TagRecord } from '../invalidation-view.ts'
import { compileGlob } from './glob.ts'
import { TagTable, UNKNOWN } from './tag-table.ts'

/** Whether an entry may be served as far as this process knows; `ask` when only Redis can tell. */
export type Verdict = 'current' | 'outdated' | 'ask'

/** The part of an entry that says what it includes. */
export interface EntryVersion {
  readonly version: number
  readonly tags: readonly string[]
}

interface PatternRecord {
  readonly pattern: string
  readonly matches: (key: string) => boolean
  epoch: number
  /** Infinity until Redis has said its number. */
  version: number
}

export interface InvalidationStateOptions {
  /** False for a cache of one process, in which nothing is ever unknown. */
  readonly isShared: boolean
  readonly maxPatterns: number
  readonly maxTags: number
  readonly oldestLoadVersion: () => number
  /** Called when epochs run out of 32 bits: everything in memory must go. */
  readonly onEpochsExhausted: () => void
}

const MAX_EPOCH = 2 ** 32 - 2

/**
 * All that this process knows of invalidations. They are numbered in the order of the log
 * (`version`), and in the order in which this process heard of them (`epoch`). An entry from Redis
 * is current if no invalidation that applies to it has a higher version; one in memory, if none has
 * a higher epoch.
 */
export class InvalidationState implements InvalidationView {
  epoch = 1
  patternEpoch = 0
  trustedUntilMs: number
  /** Highest version that Redis has told this process of. */
  version = 0
  readonly tags: TagTable
  readonly #options: InvalidationStateOptions
  #patterns: PatternRecord[] = []
  #floorVersion = 0
  #floorEpoch = 0
  #pendingClears = 0

  constructor(options: InvalidationStateOptions) {
    this.#options = options
    this.trustedUntilMs = options.isShared ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
    this.tags = new TagTable({
      initialVersion: options.isShared ? UNKNOWN : 0,
      maxRecords: options.maxTags,
      oldestLoadVersion: options.oldestLoadVersion,
    })
  }

  isKeyInvalidated(key: string, sinceEpoch: number): boolean {
    if (sinceEpoch < this.#floorEpoch) return true
    return this.#patterns.some(({ epoch, matches }) => epoch > sinceEpoch && matches(key))
  }

  /** Whether the entry may be served, as far as this process knows. */
  judge(key: string, { version, tags }: EntryVersion): Verdict {
    if (this.#pendingClears > 0 || version < this.#floorVersion) return 'outdated'
    for (const record of this.#patterns) {
      if (record.version > version && record.matches(key)) return 'outdated'
    }
    let verdict: Verdict = version > this.version ? 'ask' : 'current'
    for (const tag of tags) {
      const record = this.tags.record(tag)
      if (record.version > version) return 'outdated'
      if (record.version === UNKNOWN) verdict = 'ask'
    }
    return verdict
  }

  sawVersion(version: number): void {
    if (version > this.version) this.version = version
  }

  /**
   * What Redis holds for a tag. Never lowers what the log has said since it was asked; where it is an
   * invalidation that the log has not told yet, memory forgets now, as the log's record changes nothing any more.
   */
  learnTag(record: TagRecord, version: number): void {
    if (version <= record.version) return
    if (record.version !== UNKNOWN) record.epoch = this.#nextEpoch()
    record.version = version
  }

  /** An invalidation that this process has begun: memory forgets at once, its number comes later. */
  beginTag(tag: string): void {
    this.tags.record(tag).epoch = this.#nextEpoch()
  }

  applyTag(tag: string, version: number): void {
    this.sawVersion(version)
    const record = this.#options.isShared ? this.tags.peek(tag) : this.tags.record(tag)
    if (record === undefined || version <= record.version) return
    record.version = version
    record.epoch = this.#nextEpoch()
  }

  beginPattern(pattern: string): void {
    this.#addPattern(pattern, Number.POSITIVE_INFINITY)
  }

  applyPattern(pattern: string, version: number): void {
    this.sawVersion(version)
    const known = this.#patterns.find((record) => record.pattern === pattern)
    if (
      known !== undefined &&
      known.version !== Number.POSITIVE_INFINITY &&
      known.version >= version
    )
      return
    this.#addPattern(pattern, version)
  }

  beginClear(): void {
    this.#pendingClears++
    this.#raiseFloor(this.#floorVersion)
  }

  /** Ends what {@link beginClear} began; {@link applyClear} says its number, if there is one. */
  endClear(): void {
    this.#pendingClears--
  }

  applyClear(version: number): void {
    this.sawVersion(version)
    this.#patterns = this.#patterns.filter((record) => record.version > version)
    // Also below the floor: memory may hold what is younger than the floor's pattern and older than this.
    this.#raiseFloor(Math.max(version, this.#floorVersion))
  }

  /**
   * Begins anew at a point of the log: everything in memory is out, tags are unknown, and patterns
   * are those that Redis keeps.
   */
  restart(
    version: number,
    floorVersion: number,
    patterns: readonly (readonly [number, string])[],
  ): void {
    const pending = this.#patterns.filter((record) => record.version === Number.POSITIVE_INFINITY)
    this.version = version
    this.#patterns = pending
    this.#floorVersion = floorVersion
    this.#raiseFloor(floorVersion)
    for (const [patternVersion, pattern] of patterns) this.#addPattern(pattern, patternVersion)
    this.tags.forgetAll(this.epoch)
  }

  #addPattern(pattern: string, version: number): void {
    const epoch = this.#nextEpoch()
    this.#patterns = this.#patterns.filter((record) => record.pattern !== pattern)
    this.#patterns.push({ pattern, matches: compileGlob(pattern), epoch, version })
    this.patternEpoch = epoch
    while (this.#patterns.length > this.#options.maxPatterns) {
      const oldest = this.#patterns.shift()
      if (oldest === undefined) break
      this.#floorEpoch = Math.max(this.#floorEpoch, oldest.epoch)
      if (oldest.version === Number.POSITIVE_INFINITY) this.#floorVersion = this.version
      else this.#floorVersion = Math.max(this.#floorVersion, oldest.version)
    }
  }

  #raiseFloor(version: number): void {
    this.#floorVersion = version
    this.#floorEpoch = this.#nextEpoch()
    this.patternEpoch = this.#floorEpoch
  }

  #nextEpoch(): number {
    if (this.epoch >= MAX_EPOCH) {
      this.#options.onEpochsExhausted()
      this.epoch = 1
      this.#floorEpoch = 0
      for (const record of this.#patterns) record.epoch = 1
      this.tags.forgetAll(1)
    }
    return ++this.epoch
  }
}
