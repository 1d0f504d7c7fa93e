import type { SampleRing } from './sample-ring.ts'

/**
 * Which rule limits how far a counter that began within the window is extrapolated to its start:
 * up to 3.5 Prometheus took the whole way to the counter's zero, since 3.6 at most half an interval.
 */
export type PrometheusVersion = 'before 3.6' | '3.6'

/** A window that ends at `endMs`; open at its start. */
export interface Window {
  readonly endMs: number
  readonly windowMs: number
}

/**
 * By how much a counter grew in a window, or how fast `perSecond`, extrapolated to the window's ends; `undefined` with fewer
 * than two samples. It repeats Prometheus in every operation and their order, so that both come to
 * the same double. A counter that falls was reset and counts from zero again.
 *
 * Source: Prometheus, `extrapolatedRate` in promql/functions.go, releases 2.42 and 3.14.
 */
export function extrapolatedIncrease(
  ring: SampleRing,
  column: number,
  { endMs, windowMs }: Window,
  { perSecond, version }: { readonly perSecond: boolean; readonly version: PrometheusVersion },
): number | undefined {
  const startMs = endMs - windowMs
  const first = ring.firstAfter(startMs)
  const last = ring.size - 1
  if (last - first < 1) return undefined
  const increase = increaseBetween(ring, column, first, last)

  const sampledSeconds = (ring.timeMs(last) - ring.timeMs(first)) / 1000
  const averageSeconds = sampledSeconds / (last - first)
  const threshold = averageSeconds * 1.1

  let toStart = (ring.timeMs(first) - startMs) / 1000
  let toEnd = (endMs - ring.timeMs(last)) / 1000
  if (version === '3.6' && toStart >= threshold) toStart = averageSeconds / 2
  const firstValue = ring.value(first, column)
  if (increase > 0 && firstValue >= 0) {
    toStart = Math.min(toStart, sampledSeconds * (firstValue / increase))
  }
  if (version === 'before 3.6' && toStart >= threshold) toStart = averageSeconds / 2
  if (toEnd >= threshold) toEnd = averageSeconds / 2
  const factor = (sampledSeconds + toStart + toEnd) / sampledSeconds
  return increase * (perSecond ? factor / (windowMs / 1000) : factor)
}

function increaseBetween(ring: SampleRing, column: number, first: number, last: number): number {
  let increase = ring.value(last, column) - ring.value(first, column)
  for (let index = first + 1; index <= last; index++) {
    const previous = ring.value(index - 1, column)
    if (ring.value(index, column) < previous) increase += previous
  }
  return increase
}
