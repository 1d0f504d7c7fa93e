/** Moves this process' wall clock. To be called before anything that keeps `Date.now` is imported. */
export function skewClock(skewMs: number): void {
  if (skewMs === 0) return
  const Real = Date
  class SkewedDate extends Real {
    constructor(...parts: readonly unknown[]) {
      super(...((parts.length === 0 ? [Real.now() + skewMs] : parts) as [number]))
    }

    static override now(): number {
      return Real.now() + skewMs
    }
  }
  globalThis.Date = SkewedDate as DateConstructor
}
