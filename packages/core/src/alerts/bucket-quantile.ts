/**
 * The quantile of classic buckets: linear within a bucket, from 0 in the lowest; the highest finite
 * bound for what lies above it; `NaN` without observations.
 *
 * Counts that fall from a bucket to the next, as extrapolation makes them, are raised to the one
 * before, and so are those that differ from it in the last digits only.
 *
 * Source: Prometheus, `BucketQuantile` in promql/quantile.go, release 3.14.
 *
 * @param bounds upper bounds, ascending, without infinity
 * @param counts observations at or below each bound, then all: one longer than `bounds`
 */
export function bucketQuantile(
  q: number,
  bounds: readonly number[],
  counts: readonly number[],
): number {
  const monotonic = toMonotonic(counts)
  const all = monotonic.at(-1) as number
  if (all === 0) return Number.NaN
  const rank = q * all
  const bucket = monotonic.findIndex((count) => count >= rank)
  const highest = bounds.at(-1) as number
  if (bucket === -1 || bucket >= bounds.length) return highest
  const end = bounds[bucket] as number
  if (bucket === 0) return end <= 0 ? end : end * (rank / (monotonic[0] as number))
  const start = bounds[bucket - 1] as number
  const below = monotonic[bucket - 1] as number
  return start + (end - start) * ((rank - below) / ((monotonic[bucket] as number) - below))
}

function toMonotonic(counts: readonly number[]): number[] {
  let previous = counts[0] as number
  return counts.map((count) => {
    if (count > previous && !isAlmostEqual(previous, count)) previous = count
    return previous
  })
}

function isAlmostEqual(one: number, other: number): boolean {
  return Math.abs(one - other) / (Math.abs(one) + Math.abs(other)) < 1e-12
}
