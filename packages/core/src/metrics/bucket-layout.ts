import { requireRange } from '../range.ts'

/** One number for each slot, in this thread's memory (plain) or in shared memory (typed). */
export interface Cells {
  [slot: number]: number
  readonly length: number
}

/**
 * Where a value is counted: an exponential histogram whose buckets split each power of two into
 * equal parts, found from the bits of the number, and a second slot for each bucket that a classic
 * bound cuts in two. So classic counts are exact and quantiles stay fine.
 *
 * Bucket `i` holds [edge(i), edge(i + 1)). Slot `2i` counts the values at or below the bound in it
 * (all of them if there is none), slot `2i + 1` those above. Values below the first bucket count in
 * it, values above the last in the last.
 */
export class BucketLayout {
  /** The classic upper bounds, ascending. */
  readonly bounds: readonly number[]
  /** Cells that one series needs. */
  readonly slots: number
  /** The bound that cuts a bucket, or infinity. Plain, for a typed array is read with more checks. */
  readonly #splits: readonly number[]
  /** The slot after the last one of each classic bucket. */
  readonly #classicEnds: readonly number[]
  readonly #shift: number
  readonly #offset: number
  readonly #last: number

  /** @throws RangeError when bounds lie nearer to each other than a 1,024th of their power of two. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    const lowest = bounds.find((bound) => bound > 0) ?? 1
    const highest = bounds.at(-1) ?? 1
    const bits = mantissaBits(bounds)
    this.#shift = MANTISSA_BITS_OF_HIGH_WORD - bits
    this.#offset = highWord(lowest / RANGE_BEYOND_BOUNDS) >> this.#shift
    this.#last = (highWord(highest * RANGE_BEYOND_BOUNDS) >> this.#shift) - this.#offset
    this.slots = 2 * (this.#last + 1)
    const splits = Array.from({ length: this.#last + 1 }, () => Number.POSITIVE_INFINITY)
    for (const bound of bounds) splits[this.#bucketOf(bound)] = bound
    this.#splits = splits
    this.#classicEnds = [...bounds.map((bound) => 2 * this.#bucketOf(bound) + 1), this.slots]
  }

  /** The slot of a value; -1 for `NaN` and infinities, which no bucket can hold. */
  slotOf(value: number): number {
    SCRATCH[0] = value
    let bucket = ((WORDS[HIGH] as number) >> this.#shift) - this.#offset
    // A negative bucket is a large one without its sign: one comparison finds both ends.
    if (bucket >>> 0 > this.#last) {
      // The three special values have the largest exponent, so only this rare path meets them.
      if (!Number.isFinite(value)) return -1
      bucket = bucket < 0 ? 0 : this.#last
    }
    // A branch that is foreseen; arithmetic on the comparison would delay the address by it.
    return value > (this.#splits[bucket] as number) ? 2 * bucket + 1 : 2 * bucket
  }

  /** Values at or below each bound, then all values: one longer than {@link bounds}. */
  cumulativeCounts(cells: Cells): number[] {
    const counts: number[] = []
    let total = 0
    let slot = 0
    for (const end of this.#classicEnds) {
      for (; slot < end; slot++) total += cells[slot] as number
      counts.push(total)
    }
    return counts
  }

  /** Index in the classic buckets of the slot of a value. */
  classicBucketOf(slot: number): number {
    return this.#classicEnds.findIndex((end) => slot < end)
  }

  /**
   * The value below which the fraction `q` lies. The estimate is the harmonic mean of the edges of
   * its bucket, which errs equally towards both: (hi − lo) / (hi + lo), at most 1/17.
   */
  quantile(cells: Cells, q: number): number {
    requireRange('q of a quantile', q, 0, 1)
    const total = this.count(cells)
    if (total === 0) return Number.NaN
    const rank = Math.max(q * total, Number.MIN_VALUE)
    let slot = -1
    for (let seen = 0; seen < rank && slot < this.slots - 1;) seen += cells[++slot] as number
    return this.#middleOf(slot)
  }

  count(cells: Cells): number {
    let total = 0
    for (let slot = 0; slot < this.slots; slot++) total += cells[slot] as number
    return total
  }

  #middleOf(slot: number): number {
    const bucket = slot >> 1
    const split = this.#splits[bucket] as number
    const isUpper = slot % 2 === 1
    const from = isUpper ? split : bucket === 0 ? 0 : this.#edge(bucket)
    if (bucket === this.#last) return from
    const to = isUpper ? this.#edge(bucket + 1) : Math.min(split, this.#edge(bucket + 1))
    return to === 0 ? 0 : (2 * from * to) / (from + to)
  }

  #edge(bucket: number): number {
    WORDS[LOW] = 0
    WORDS[HIGH] = (bucket + this.#offset) << this.#shift
    return SCRATCH[0] as number
  }

  #bucketOf(bound: number): number {
    return Math.max(0, (highWord(bound) >> this.#shift) - this.#offset)
  }
}

const SCRATCH = new Float64Array(1)
const WORDS = new Int32Array(SCRATCH.buffer)
SCRATCH[0] = 1
const HIGH = WORDS[1] === 0 ? 0 : 1
const LOW = 1 - HIGH

/** How far quantiles reach beyond the lowest and the highest bound. */
const RANGE_BEYOND_BOUNDS = 8
const MANTISSA_BITS_OF_HIGH_WORD = 20
const FEWEST_BITS = 3
const MOST_BITS = 10

function highWord(value: number): number {
  SCRATCH[0] = value
  return WORDS[HIGH] as number
}

/** The coarsest resolution at which no two bounds share a bucket. */
function mantissaBits(bounds: readonly number[]): number {
  for (let bits = FEWEST_BITS; bits <= MOST_BITS; bits++) {
    const shift = MANTISSA_BITS_OF_HIGH_WORD - bits
    const buckets = new Set(bounds.map((bound) => highWord(bound) >> shift))
    if (buckets.size === bounds.length) return bits
  }
  throw new RangeError('bounds must differ by a 1,024th of their power of two at least')
}
