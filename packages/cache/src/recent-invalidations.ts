import type { InvalidationTargets } from './redis/invalidation-writer.ts'

interface Recent {
  readonly targets: InvalidationTargets
  readonly atMs: number
}

/** A failover may lose what was acknowledged this long before it was noticed. */
const REPLAY_MS = 30_000
const MAX_RECENT = 10_000

/** The last invalidations, for the case that a failover loses them. Bounded in time and in number. */
export class RecentInvalidations {
  #recent: Recent[] = []

  add(targets: InvalidationTargets, nowMs: number): void {
    this.#recent.push({ targets, atMs: nowMs })
    // Trimmed to half of what it may grow to, so that trimming costs nothing a piece.
    const isOld = (this.#recent[0]?.atMs ?? nowMs) < nowMs - 2 * REPLAY_MS
    if (this.#recent.length >= 2 * MAX_RECENT || isOld) {
      this.#recent = this.#recent.filter(({ atMs }) => atMs >= nowMs - REPLAY_MS).slice(-MAX_RECENT)
    }
  }

  /** Those of the last 30 s. They are forgotten with it. */
  take(nowMs: number): InvalidationTargets[] {
    const recent = this.#recent.filter(({ atMs }) => atMs >= nowMs - REPLAY_MS)
    this.#recent = []
    return recent.map(({ targets }) => targets)
  }
}
