/** Eight buckets for each doubling of microseconds: at most 6.25 % from the true value. */
const SUB_BITS = 3
const SUBS = 1 << SUB_BITS
/** Up to 2^31 µs, which is 35 minutes. */
const BUCKETS = (31 - SUB_BITS + 2) * SUBS

/** Latencies from 1 µs to 35 minutes in 2 KiB, however many. */
export class LatencyHistogram {
  readonly #counts: number[] = Array.from({ length: BUCKETS }, () => 0)
  #count = 0
  #totalMs = 0
  #maxMs = 0

  get count(): number {
    return this.#count
  }

  get totalMs(): number {
    return this.#totalMs
  }

  get maxMs(): number {
    return this.#maxMs
  }

  observe(ms: number): void {
    this.#count += 1
    this.#totalMs += ms
    if (ms > this.#maxMs) this.#maxMs = ms
    const at = bucketOf(ms)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  /** The latency below which the fraction `q` (0–1) lies; 0 while empty. */
  quantileMs(q: number): number {
    let left = Math.max(1, Math.ceil(q * this.#count))
    if (this.#count === 0) return 0
    for (const [index, count] of this.#counts.entries()) {
      left -= count
      if (left <= 0) return Math.min(middleMs(index), this.#maxMs)
    }
    return this.#maxMs
  }

  add(other: LatencyHistogram): void {
    for (const [index, count] of other.#counts.entries()) {
      this.#counts[index] = (this.#counts[index] ?? 0) + count
    }
    this.#count += other.#count
    this.#totalMs += other.#totalMs
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs)
  }
}

function bucketOf(ms: number): number {
  const micros = Math.min(2 ** 31 - 1, Math.max(0, ms * 1_000)) | 0
  if (micros < SUBS) return micros
  const exponent = 31 - Math.clz32(micros)
  return (exponent - SUB_BITS + 1) * SUBS + ((micros >> (exponent - SUB_BITS)) & (SUBS - 1))
}

function middleMs(index: number): number {
  if (index < SUBS) return (index + 0.5) / 1_000
  const exponent = Math.floor(index / SUBS) + SUB_BITS - 1
  const width = 2 ** (exponent - SUB_BITS)
  return (2 ** exponent + (index % SUBS) * width + width / 2) / 1_000
}
