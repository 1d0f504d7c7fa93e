const SUB_BITS = 3
const BUCKETS = 32 << SUB_BITS

/**
 * Quantiles of recent waits, to about 6 %, for a few nanoseconds a wait: log-linear buckets of
 * microseconds (as in HdrHistogram) in two windows, of which the older one is dropped in turn.
 * Leases that were had at once are waits of 0; they are not recorded one by one but taken from the
 * pool's running total.
 */
export class WaitHistogram {
  readonly #windowMs: number
  #current = new Uint32Array(BUCKETS)
  #previous = new Uint32Array(BUCKETS)
  #startedMs: number
  #atOnceAtStart = 0
  #atOnceBefore = 0

  constructor(nowMs: number, windowMs = 10_000) {
    this.#startedMs = nowMs
    this.#windowMs = windowMs
  }

  /** `weight` is how many waits this one stands for. */
  record(waitedMs: number, weight: number): void {
    const bucket = bucketOf(waitedMs * 1000)
    this.#current[bucket] = (this.#current[bucket] ?? 0) + weight
  }

  /** To be called now and then, and before reading. `atOnce` is the total since the beginning. */
  rotate(nowMs: number, atOnce: number): void {
    const elapsedMs = nowMs - this.#startedMs
    if (elapsedMs < this.#windowMs) return
    const isLongAgo = elapsedMs >= 2 * this.#windowMs
    const dropped = this.#previous
    this.#previous = this.#current
    if (isLongAgo) this.#previous.fill(0)
    this.#atOnceBefore = isLongAgo ? 0 : atOnce - this.#atOnceAtStart
    this.#current = dropped.fill(0)
    this.#atOnceAtStart = atOnce
    this.#startedMs = nowMs
  }

  /** Milliseconds below which the fraction `q` of recent waits lie; 0 while there was none. */
  quantile(q: number, atOnce: number): number {
    const counts = this.#current.map((count, bucket) => count + (this.#previous[bucket] ?? 0))
    const zeros = this.#atOnceBefore + atOnce - this.#atOnceAtStart
    const rank = q * counts.reduce((sum, count) => sum + count, zeros)
    let below = zeros
    for (let bucket = 0; bucket < BUCKETS && below < rank; bucket++) {
      below += counts[bucket] ?? 0
      if (below >= rank) return middleOf(bucket) / 1000
    }
    return 0
  }
}

function bucketOf(micros: number): number {
  const value = Math.min(0x7fff_ffff, Math.round(micros))
  if (value < 1 << SUB_BITS) return value
  const shift = 31 - Math.clz32(value) - SUB_BITS
  return ((shift + 1) << SUB_BITS) | ((value >> shift) & ((1 << SUB_BITS) - 1))
}

function middleOf(bucket: number): number {
  if (bucket < 1 << SUB_BITS) return bucket
  const shift = (bucket >> SUB_BITS) - 1
  const lower = ((1 << SUB_BITS) | (bucket & ((1 << SUB_BITS) - 1))) * 2 ** shift
  return lower + 2 ** shift / 2
}
