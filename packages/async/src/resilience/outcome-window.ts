const BUCKETS = 10

/** Calls of a window. */
export interface OutcomeTotals {
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

interface Bucket {
  number: number
  calls: number
  failures: number
  slow: number
}

/** Counts calls over the last `windowMs`, to a tenth of it, in constant space. */
export class OutcomeWindow {
  readonly #bucketMs: number
  readonly #buckets: readonly Bucket[]

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS
    this.#buckets = Array.from({ length: BUCKETS }, () => emptyBucket())
  }

  add(nowMs: number, hasFailed: boolean, isSlow: boolean): void {
    const number = Math.floor(nowMs / this.#bucketMs)
    const bucket = this.#buckets[number % BUCKETS] as Bucket
    if (bucket.number !== number) {
      bucket.number = number
      bucket.calls = 0
      bucket.failures = 0
      bucket.slow = 0
    }
    bucket.calls += 1
    if (hasFailed) bucket.failures += 1
    if (isSlow) bucket.slow += 1
  }

  totals(nowMs: number): OutcomeTotals {
    const oldest = Math.floor(nowMs / this.#bucketMs) - BUCKETS + 1
    const totals = { calls: 0, failures: 0, slow: 0 }
    for (const bucket of this.#buckets) {
      if (bucket.number < oldest) continue
      totals.calls += bucket.calls
      totals.failures += bucket.failures
      totals.slow += bucket.slow
    }
    return totals
  }

  clear(): void {
    for (const bucket of this.#buckets) Object.assign(bucket, emptyBucket())
  }
}

function emptyBucket(): Bucket {
  return { number: -Infinity, calls: 0, failures: 0, slow: 0 }
}
