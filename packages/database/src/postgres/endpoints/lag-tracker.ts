import type { Lsn } from './lsn.ts'

interface PrimarySample {
  atMs: number
  readonly lsn: Lsn
}

const MAX_SAMPLES = 256

/**
 * How old the data of replicas are, from what the primary had written at which moment of our own
 * clock: neither server's clock matters, an idle primary makes nobody old, and a replica that is
 * not heard of any more gets older by itself.
 */
export class LagTracker {
  /** Ascending in both. */
  #samples: PrimarySample[] = []

  /** When the primary was last heard of; 0 before the first time. */
  get heardMs(): number {
    return this.#samples.at(-1)?.atMs ?? 0
  }

  /** Notes that the primary had written `lsn` at `atMs` or later. */
  primaryAt(atMs: number, lsn: Lsn): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && lsn < last.lsn) this.#samples = []
    // The longer the primary stands still, the later the moment up to which all is known.
    if (last?.lsn === lsn) last.atMs = Math.max(last.atMs, atMs)
    else this.#samples.push({ atMs, lsn })
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift()
  }

  /** Time since all that was committed is known to be on a replica that has replayed `lsn`; `Infinity` where that was never so. */
  lagMs(lsn: Lsn, nowMs: number): number {
    const held = this.#samples.findLast((sample) => sample.lsn <= lsn)
    return held === undefined ? Infinity : Math.max(0, nowMs - held.atMs)
  }

  /** Forgets all, because another primary writes another history. */
  reset(): void {
    this.#samples = []
  }
}
