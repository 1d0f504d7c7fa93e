import type { PoolSettings } from './connection-pool-options.ts'
import type { PooledResource } from './pooled-resource.ts'
import type { ResourceSupply } from './resource-supply.ts'

const LONGEST_SWEEP_MS = 100

/**
 * Ends idle resources past their lifetime, and those above `keep` past their idle time, longest idle
 * first; passes each lease that became suspicious to `onLeak`, once. Returns when the next one is
 * due, on the same clock; `Infinity` if none will be.
 */
export function sweep<T>(
  supply: ResourceSupply<T>,
  keep: number,
  { idleTimeoutMs, leakAfterMs }: PoolSettings,
  nowMs: number,
  onLeak: (entry: PooledResource<T>) => void,
): number {
  let dueMs = Infinity
  // The front of the idle ones has been idle longest, so those above `keep` are met first.
  for (const entry of supply.idle.slice()) {
    const idleUntilMs = supply.entries.size > keep ? entry.sinceMs + idleTimeoutMs : Infinity
    if (entry.expiresAtMs <= nowMs) supply.retire(entry, 'lifetime')
    else if (idleUntilMs <= nowMs) supply.retire(entry, 'idle')
    else dueMs = Math.min(dueMs, entry.expiresAtMs, idleUntilMs)
  }
  if (leakAfterMs === Infinity) return dueMs
  for (const entry of supply.entries.values()) {
    if (entry.state !== 'leased' || entry.isLeakReported) continue
    if (nowMs - entry.sinceMs < leakAfterMs) dueMs = Math.min(dueMs, entry.sinceMs + leakAfterMs)
    else {
      entry.isLeakReported = true
      onLeak(entry)
    }
  }
  return dueMs
}

/** How often to sweep while the pool is in use: a quarter of the shortest time that matters. */
export function sweepEveryMs(settings: PoolSettings): number {
  const { validateAfterIdleMs, idleTimeoutMs, maxLifetimeMs, leakAfterMs } = settings
  const shortestMs = Math.min(
    validateAfterIdleMs || Infinity,
    idleTimeoutMs,
    maxLifetimeMs,
    leakAfterMs,
  )
  return Math.max(1, Math.min(LONGEST_SWEEP_MS, Math.floor(shortestMs / 4)))
}
