import { systemClock, type Clock } from '@dharma/core'
import { CoarseClock } from '../coarse-clock.ts'
import { areTagsCurrent, type InvalidationView, type TagRecord } from '../invalidation-view.ts'
import { estimateSizeBytes } from './estimate-size.ts'
import { hashKey } from './ghost-table.ts'
import { isSampled, ReplacementDuel, sampleBits } from './replacement-duel.ts'
import { READS, S3Fifo } from './s3-fifo.ts'

export interface MemoryTierOptions {
  /** Entries kept at most. 1 to 2^30. @default 50_000 */
  readonly maxEntries?: number
  /** Bytes that keys and values may take together, by estimate. @default not bounded */
  readonly maxBytes?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** What is known of invalidations. @default nothing is ever invalidated but by `remove` */
  readonly view?: InvalidationView
}

/** How an entry is to be kept, durations counted from now. */
export interface MemoryEntryOptions {
  /** How long it is served as it is. */
  readonly freshForMs: number
  /** How long it is served while a reload runs behind; at least `freshForMs`. @default freshForMs */
  readonly serveForMs?: number
  /** How long it is kept for the case that a reload fails; at least `serveForMs`. @default serveForMs */
  readonly keepForMs?: number
  readonly tags?: readonly TagRecord[] | undefined
  /** Epoch up to which the entry is known to be current. @default the view's epoch */
  readonly stamp?: number
  /** Bytes of the value, where known; else it is estimated. Looked at with `maxBytes` only. */
  readonly sizeBytes?: number | undefined
  /**
   * True for an entry that is served even while the view is not trusted, because its durations
   * bound by themselves how old it can be. @default false
   */
  readonly isSelfTimed?: boolean
}

/** What may be done with an entry: serve it, serve it and reload behind, or keep it for a failure. */
export type Freshness = 'fresh' | 'stale' | 'kept'

const NOTHING_INVALIDATED: InvalidationView = {
  epoch: 0,
  patternEpoch: 0,
  trustedUntilMs: Number.POSITIVE_INFINITY,
  isKeyInvalidated: () => false,
}
const FRESH_UNTIL = 0
const SERVE_UNTIL = 1
const KEEP_UNTIL = 2
const STAMP = 3
/** Bit of a slot's state, see {@link MemoryEntryOptions.isSelfTimed}. */
const SELF_TIMED = 0b1000
/** Bit of a slot's state: its reads are told to the {@link ReplacementDuel}. */
const SAMPLED = 0b1_0000
const FIRST_SLOTS = 256
const NEVER = 0xff_ff_ff_ff
/** Times are 32-bit milliseconds since a base, which is moved before they run out. */
const REBASE_AFTER_MS = 2 ** 31
const MAX_DURATION_MS = 2 ** 30

/**
 * The memory tier (L1): decoded values in slots of flat arrays, about 50 bytes an entry beside the
 * map's own, and scan-resistant eviction. A hit reads one map and a cache line, and allocates nothing.
 */
export class MemoryTier {
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #clock: CoarseClock
  readonly #view: InvalidationView
  readonly #slots = new Map<string, number>()
  readonly #queues: S3Fifo
  readonly #sampleBits: number
  /** Begins with the first eviction: before, there is nothing to choose. */
  #duel: ReplacementDuel | undefined
  #baseMs: number
  #capacity: number
  #used = 0
  #bytes = 0
  #free: number[] = []
  /** Four numbers a slot: fresh, serve and keep until, and the epoch it was last known current. */
  #meta: Uint32Array<ArrayBuffer>
  #keys: (string | undefined)[] = []
  #values: unknown[] = []
  #tags: (readonly TagRecord[] | undefined)[] | undefined
  #promises: (Promise<unknown> | undefined)[] | undefined
  #sizes: Float64Array<ArrayBuffer> | undefined
  #evictions = 0

  constructor(options: MemoryTierOptions = {}) {
    const {
      maxEntries = 50_000,
      maxBytes = Number.POSITIVE_INFINITY,
      clock = systemClock,
    } = options
    checkRange('maxEntries', maxEntries, 1, 2 ** 30)
    checkRange('maxBytes', maxBytes, 1, Number.POSITIVE_INFINITY)
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
    this.#clock = new CoarseClock(clock)
    this.#view = options.view ?? NOTHING_INVALIDATED
    this.#baseMs = this.#clock.nowMs()
    this.#capacity = Math.min(maxEntries, FIRST_SLOTS)
    this.#meta = new Uint32Array(this.#capacity * 4)
    this.#queues = new S3Fifo(this.#capacity, maxEntries)
    this.#sampleBits = sampleBits(maxEntries)
    if (maxBytes !== Number.POSITIVE_INFINITY) this.#sizes = new Float64Array(this.#capacity)
  }

  /** Entries held, expired ones that nobody asked for included. */
  get size(): number {
    return this.#slots.size
  }

  /** Estimated bytes of keys and values; 0 without `maxBytes`. */
  get sizeBytes(): number {
    return this.#bytes
  }

  /** Entries that were pushed out for room since the start. */
  get evictions(): number {
    return this.#evictions
  }

  /** The slot of a fresh, current entry, or -1. Counts as a read. Valid until the next write. */
  hit(key: string): number {
    const slot = this.#slots.get(key)
    if (slot === undefined) return -1
    const at = slot << 2
    const meta = this.#meta
    const nowMs = this.#clock.nowMs()
    if ((meta[at] as number) <= nowMs - this.#baseMs) return -1
    if (nowMs > this.#view.trustedUntilMs && !this.#isSelfTimed(slot)) return -1
    const stamp = meta[at + STAMP] as number
    if (stamp < this.#view.patternEpoch && !this.#isStillCurrent(slot, key)) return -1
    if (this.#tags !== undefined) {
      const tags = this.#tags[slot]
      if (tags !== undefined && !areTagsCurrent(tags, stamp)) return -1
    }
    const state = this.#queues.states[slot] as number
    // One comparison for the many reads that change nothing.
    if ((state & (READS | SAMPLED)) !== READS) this.#touch(slot, key)
    return slot
  }

  /**
   * The slot of a current entry, whatever its freshness and whether the view is trusted, or -1.
   * Drops one that is of no use any more.
   */
  find(key: string): number {
    const slot = this.#slots.get(key)
    if (slot === undefined) return -1
    const at = slot << 2
    const isKept = (this.#meta[at + KEEP_UNTIL] as number) > this.#ticks()
    const tags = this.#tags?.[slot]
    const stamp = this.#meta[at + STAMP] as number
    if (
      isKept &&
      (stamp >= this.#view.patternEpoch || this.#isStillCurrent(slot, key)) &&
      (tags === undefined || areTagsCurrent(tags, stamp))
    ) {
      this.#touch(slot, key)
      return slot
    }
    this.remove(key)
    return -1
  }

  freshnessAt(slot: number): Freshness {
    const now = this.#ticks()
    const at = slot << 2
    if ((this.#meta[at + FRESH_UNTIL] as number) > now) return 'fresh'
    return (this.#meta[at + SERVE_UNTIL] as number) > now ? 'stale' : 'kept'
  }

  /** Whether the entry may be served now, or only when nothing better is to be had. */
  isTrusted(slot: number): boolean {
    return this.#clock.nowMs() <= this.#view.trustedUntilMs || this.#isSelfTimed(slot)
  }

  /** Whether the entry may be served when nothing better is to be had. */
  hasGrace(slot: number): boolean {
    const at = slot << 2
    return (this.#meta[at + KEEP_UNTIL] as number) > (this.#meta[at + SERVE_UNTIL] as number)
  }

  valueAt(slot: number): unknown {
    return this.#values[slot]
  }

  /** A resolved promise of the value, made once an entry: a hit that is awaited allocates nothing. */
  promiseAt(slot: number): Promise<unknown> {
    const promises = (this.#promises ??= [])
    return (promises[slot] ??= Promise.resolve(this.#values[slot]))
  }

  /** Puts an entry in, in place of an older one, and pushes others out for it. */
  store(key: string, value: unknown, options: MemoryEntryOptions): void {
    const { freshForMs, serveForMs = freshForMs, keepForMs = serveForMs, tags } = options
    const sizeBytes = this.#sizes === undefined ? 0 : sizeOf(key, value, options.sizeBytes)
    this.remove(key)
    if (keepForMs <= 0 || sizeBytes > this.#maxBytes) return
    while (this.#slots.size >= this.#maxEntries || this.#bytes + sizeBytes > this.#maxBytes) {
      this.#evict()
    }
    const slot = this.#takeSlot()
    const now = this.#ticks()
    const at = slot << 2
    this.#meta[at + FRESH_UNTIL] = until(now, freshForMs)
    this.#meta[at + SERVE_UNTIL] = until(now, serveForMs)
    this.#meta[at + KEEP_UNTIL] = until(now, keepForMs)
    this.#meta[at + STAMP] = options.stamp ?? this.#view.epoch
    this.#keys[slot] = key
    this.#values[slot] = value
    if (this.#sizes !== undefined) {
      this.#sizes[slot] = sizeBytes
      this.#bytes += sizeBytes
    }
    if (tags !== undefined && tags.length > 0) {
      for (const tag of tags) tag.references++
      ;(this.#tags ??= [])[slot] = tags
    }
    this.#slots.set(key, slot)
    const hash = hashKey(key)
    const takesPart = isSampled(hash, this.#sampleBits)
    if (takesPart) this.#duel?.read(hash)
    this.#queues.states[slot] =
      (options.isSelfTimed === true ? SELF_TIMED : 0) | (takesPart ? SAMPLED : 0)
    this.#queues.add(slot, hash)
  }

  /** Whether there was an entry. */
  remove(key: string): boolean {
    const slot = this.#slots.get(key)
    if (slot === undefined) return false
    this.#queues.remove(slot)
    this.#release(slot, key)
    return true
  }

  /** Drops everything. */
  clear(): void {
    for (const key of this.#slots.keys()) this.remove(key)
  }

  /** Keys in no particular order, those of expired entries included. */
  keys(): IterableIterator<string> {
    return this.#slots.keys()
  }

  #isSelfTimed(slot: number): boolean {
    return ((this.#queues.states[slot] as number) & SELF_TIMED) !== 0
  }

  #touch(slot: number, key: string): void {
    this.#queues.touch(slot)
    if (this.#duel === undefined || ((this.#queues.states[slot] as number) & SAMPLED) === 0) return
    this.#duel.read(hashKey(key))
  }

  #evict(): void {
    if (this.#evictions === 0) this.#duel = ReplacementDuel.begin(this.size, this.#sampleBits)
    this.#queues.favoursRecency = this.#duel?.favoursRecency === true
    const slot = this.#queues.evict((victim) => hashKey(this.#keys[victim] ?? ''))
    this.#evictions++
    this.#release(slot, this.#keys[slot] ?? '')
  }

  #release(slot: number, key: string): void {
    this.#slots.delete(key)
    this.#keys[slot] = undefined
    this.#values[slot] = undefined
    if (this.#promises !== undefined) this.#promises[slot] = undefined
    if (this.#sizes !== undefined) this.#bytes -= this.#sizes[slot] ?? 0
    const tags = this.#tags?.[slot]
    if (tags !== undefined && this.#tags !== undefined) {
      for (const tag of tags) tag.references--
      this.#tags[slot] = undefined
    }
    this.#free.push(slot)
  }

  #takeSlot(): number {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#used === this.#capacity) this.#grow()
    return this.#used++
  }

  #grow(): void {
    this.#capacity = Math.min(this.#maxEntries, this.#capacity * 2)
    const meta = new Uint32Array(this.#capacity * 4)
    meta.set(this.#meta)
    this.#meta = meta
    if (this.#sizes !== undefined) {
      const sizes = new Float64Array(this.#capacity)
      sizes.set(this.#sizes)
      this.#sizes = sizes
    }
    // Exactly as many: left to themselves, arrays grow by half and more.
    this.#keys.length = this.#capacity
    this.#values.length = this.#capacity
    this.#queues.grow(this.#capacity)
  }

  /** For an entry that is older than the last pattern: looks, and remembers that it was looked at. */
  #isStillCurrent(slot: number, key: string): boolean {
    const at = (slot << 2) + STAMP
    const stamp = this.#meta[at] as number
    const tags = this.#tags?.[slot]
    if (this.#view.isKeyInvalidated(key, stamp)) return false
    if (tags !== undefined && !areTagsCurrent(tags, stamp)) return false
    this.#meta[at] = this.#view.epoch
    return true
  }

  #ticks(): number {
    const elapsedMs = this.#clock.nowMs() - this.#baseMs
    if (elapsedMs < REBASE_AFTER_MS) return elapsedMs
    this.#baseMs += elapsedMs
    for (let at = 0; at < this.#meta.length; at += 4) {
      for (let field = FRESH_UNTIL; field <= KEEP_UNTIL; field++) {
        const value = this.#meta[at + field] as number
        if (value !== NEVER) this.#meta[at + field] = Math.max(0, value - elapsedMs)
      }
    }
    return 0
  }
}

function until(now: number, durationMs: number): number {
  if (durationMs === Number.POSITIVE_INFINITY) return NEVER
  return Math.ceil(now + Math.min(Math.max(0, durationMs), MAX_DURATION_MS))
}

function sizeOf(key: string, value: unknown, knownBytes: number | undefined): number {
  return (knownBytes ?? estimateSizeBytes(value)) + key.length + 64
}

function checkRange(option: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return
  throw new RangeError(`${option} must be between ${min} and ${max}, got ${value}`)
}
