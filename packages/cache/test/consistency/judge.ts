import type { CacheUnderTest, Versioned } from './cache-under-test.ts'
import { Floors, type Floor } from './floors.ts'
import { History } from './history.ts'
import { LagMeter } from './lag-meter.ts'
import { machineMs } from './machine-time.ts'
import type { Counts, Limits, Violation } from './messages.ts'

/** Values by key; keys without a value are left out. */
export type Found = ReadonlyMap<string, Versioned>

export interface JudgeOptions {
  readonly worker: number
  readonly limits: Limits
  readonly cache: Pick<CacheUnderTest, 'isLoaderFailure'>
  readonly onViolation: (violation: Violation) => void
}

/** Watches one process' calls of its cache, and says which break the promise. */
export class Judge {
  readonly floors: Floors = new Floors()
  readonly history: History
  readonly counts: Counts = {
    reads: 0,
    hits: 0,
    loads: 0,
    writes: 0,
    invalidations: 0,
    pending: 0,
    longestWaitMs: 0,
  }
  readonly #options: JudgeOptions
  readonly #lag: LagMeter = new LagMeter()

  constructor(options: JudgeOptions) {
    this.#options = options
    this.history = new History(options.worker)
  }

  /**
   * Runs a read and compares what it found with what had to be known when it began. `allowanceMs`:
   * how long it may take beyond the cache's own limit, because of a loader.
   */
  async read(
    what: string,
    keys: readonly string[],
    allowanceMs: number,
    run: () => Promise<Found> | Found,
  ): Promise<Found | undefined> {
    const startMs = machineMs()
    const floors = keys.map((key) => this.floors.at(key, startMs))
    const found = await this.limited(what, keys, allowanceMs, run)
    if (found === undefined) return undefined
    this.counts.reads += keys.length
    for (const [index, key] of keys.entries()) {
      this.#compare(what, key, { value: found.get(key), floor: floors[index], startMs })
    }
    return found
  }

  /** Runs any call: it must not fail, nor take too long. Undefined when it failed. */
  async limited<Result>(
    what: string,
    keys: readonly string[],
    allowanceMs: number,
    run: () => Promise<Result> | Result,
  ): Promise<Result | undefined> {
    const startMs = machineMs()
    const lagBefore = this.#lag.totalMs
    try {
      return await run()
    } catch (error) {
      if (!this.#options.cache.isLoaderFailure(error)) {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        this.violated(6, keys[0] ?? '', what, `${what} failed: ${text}`)
      }
      return undefined
    } finally {
      const tookMs = machineMs() - startMs - (this.#lag.totalMs - lagBefore)
      const waitedMs = tookMs - allowanceMs
      this.counts.longestWaitMs = Math.max(this.counts.longestWaitMs, Math.round(waitedMs))
      if (waitedMs > this.#options.limits.maxWaitMs) {
        const { maxWaitMs } = this.#options.limits
        const limit = `${maxWaitMs} ms and ${allowanceMs} ms for loaders`
        const text = `${what} of ${keys.join()} took ${tookMs.toFixed()} ms, over ${limit}`
        this.violated(6, keys[0] ?? '', what, text)
      }
    }
  }

  violated(promise: Violation['promise'], key: string, cause: string, what: string): void {
    const { worker, onViolation } = this.#options
    this.history.note(key, `VIOLATION of ${promise}: ${what}`)
    onViolation({ promise, worker, key, atMs: machineMs(), what, cause })
  }

  stop(): void {
    this.#lag.stop()
  }

  #compare(
    what: string,
    key: string,
    read: {
      readonly value: Versioned | undefined
      readonly floor: Floor | undefined
      readonly startMs: number
    },
  ): void {
    const { value, floor, startMs } = read
    const atLeast = floor?.version ?? 0
    const tookMs = (machineMs() - startMs).toFixed(1)
    const outcome = value === undefined ? 'nothing' : `v${value.version}`
    this.history.note(key, `${what} → ${outcome} (≥ v${atLeast}, began ${tookMs} ms ago)`)
    if (value === undefined) return
    if (value.key !== key) this.violated(1, key, what, `${what} gave a value of ${value.key}`)
    if (floor === undefined || value.version >= floor.version) return
    const { worker } = this.#options
    const sinceMs = (startMs - floor.fromMs).toFixed(1)
    const whose = floor.by === worker ? 'its own' : `process ${floor.by}'s`
    this.violated(
      floor.by === worker ? 1 : 2,
      key,
      floor.cause,
      `${what} returned v${value.version} although ${whose} ${floor.cause} had ruled out all below v${floor.version} for ${sinceMs} ms when it began`,
    )
  }
}
