/**
 * Milliseconds of the machine's monotonic clock, which all its processes share and which no skew of
 * `Date` touches.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}
