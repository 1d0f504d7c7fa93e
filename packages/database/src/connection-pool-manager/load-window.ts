/** What a pool did since the last look. */
export interface LoadSample {
  readonly elapsedMs: number
  /** Leases asked for. */
  readonly arrivals: number
  /** 95 % of those who got a lease waited no longer; those who still wait count as far as they have come. */
  readonly waitP95Ms: number
  /** Mean length of the leases that ended; `undefined` where none did. */
  readonly serviceMs: number | undefined
}

const MAX_WAITS = 512

/**
 * Measures a pool between two looks of its scaler. Averages over many seconds, which are good for
 * people, would make a scaler see a wait long after it has ended it.
 */
export class LoadWindow {
  #startedMs: number
  #arrivals = 0
  #waits: number[] = []
  #serviceMs = 0
  #served = 0
  /** When those who wait came, first come first served. */
  #waitingSince = new Set<{ readonly sinceMs: number }>()

  constructor(nowMs: number) {
    this.#startedMs = nowMs
  }

  /** Someone asks for a lease; what comes back is to be given to {@link got}, whether he got one or not. */
  asked(nowMs: number): { readonly sinceMs: number } {
    const entry = { sinceMs: nowMs }
    this.#arrivals += 1
    this.#waitingSince.add(entry)
    return entry
  }

  got(entry: { readonly sinceMs: number }, nowMs: number): void {
    this.#waitingSince.delete(entry)
    const waitedMs = nowMs - entry.sinceMs
    // The latest ones stand for all.
    if (this.#waits.length < MAX_WAITS) this.#waits.push(waitedMs)
    else this.#waits[this.#arrivals % MAX_WAITS] = waitedMs
  }

  /** A lease ended. */
  served(tookMs: number): void {
    this.#serviceMs += tookMs
    this.#served += 1
  }

  /** What happened since the last call, and begins anew. */
  take(nowMs: number): LoadSample {
    const waits = this.#waits
    for (const { sinceMs } of this.#waitingSince) {
      if (waits.length >= 2 * MAX_WAITS) break
      waits.push(nowMs - sinceMs)
    }
    waits.sort((a, b) => a - b)
    const sample: LoadSample = {
      elapsedMs: nowMs - this.#startedMs,
      arrivals: this.#arrivals,
      waitP95Ms: waits[Math.ceil(0.95 * waits.length) - 1] ?? 0,
      serviceMs: this.#served === 0 ? undefined : this.#serviceMs / this.#served,
    }
    this.#startedMs = nowMs
    this.#arrivals = 0
    this.#waits = []
    this.#serviceMs = 0
    this.#served = 0
    return sample
  }
}
