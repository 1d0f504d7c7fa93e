import type { Clock } from '@dharma/core'
import {
  takeFromBucket,
  type PutOptions,
  type RateGrant,
  type RateLimit,
  type StateEntry,
  type StateStore,
} from '../state-store.ts'

interface Kept<Value> {
  value: Value
  version: number
  untilMs: number
}

/** How many writes pass between two sweeps for what has expired. */
const SWEEP_EVERY = 1_024

/** {@link StateStore} of one process. Expired entries are dropped when they are met, or by a sweep. */
export class MemoryState implements StateStore {
  readonly #clock: Clock
  readonly #values = new Map<string, Kept<string>>()
  readonly #maps = new Map<string, Kept<Map<string, string>>>()
  readonly #limits = new Map<string, number>()
  #writes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async get(key: string): Promise<StateEntry | undefined> {
    const kept = this.#live(this.#values, key)
    return kept && { value: kept.value, version: kept.version }
  }

  async put(key: string, value: string, { ttlMs, ifVersion }: PutOptions = {}): Promise<boolean> {
    const version = this.#live(this.#values, key)?.version ?? 0
    if (ifVersion !== undefined && ifVersion !== version) return false
    this.#values.set(key, { value, version: version + 1, untilMs: this.#until(ttlMs) })
    this.#sweep()
    return true
  }

  async remove(key: string): Promise<void> {
    this.#values.delete(key)
    this.#maps.delete(key)
  }

  async record(
    map: string,
    fields: Readonly<Record<string, string>>,
    ttlMs?: number,
  ): Promise<number> {
    const kept = this.#live(this.#maps, map) ?? { value: new Map(), version: 1, untilMs: Infinity }
    this.#maps.set(map, kept)
    for (const [field, value] of Object.entries(fields)) {
      if (!kept.value.has(field)) kept.value.set(field, value)
    }
    if (ttlMs !== undefined) kept.untilMs = this.#until(ttlMs)
    this.#sweep()
    return kept.value.size
  }

  async fields(map: string): Promise<Readonly<Record<string, string>>> {
    return Object.fromEntries(this.#live(this.#maps, map)?.value ?? [])
  }

  async forget(map: string, field: string): Promise<void> {
    const kept = this.#live(this.#maps, map)
    kept?.value.delete(field)
    if (kept?.value.size === 0) this.#maps.delete(map)
  }

  async take(key: string, limit: RateLimit, count: number): Promise<RateGrant> {
    const nowMs = this.#clock.monotonicMs()
    const { fullAtMs, ...grant } = takeFromBucket(this.#limits.get(key) ?? 0, limit, count, nowMs)
    this.#limits.set(key, fullAtMs)
    return grant
  }

  #until(ttlMs: number | undefined): number {
    return ttlMs === undefined ? Infinity : this.#clock.monotonicMs() + ttlMs
  }

  #live<Value>(all: Map<string, Kept<Value>>, key: string): Kept<Value> | undefined {
    const kept = all.get(key)
    if (kept === undefined || kept.untilMs > this.#clock.monotonicMs()) return kept
    all.delete(key)
    return undefined
  }

  #sweep(): void {
    if (++this.#writes % SWEEP_EVERY !== 0) return
    for (const key of this.#values.keys()) this.#live(this.#values, key)
    for (const key of this.#maps.keys()) this.#live(this.#maps, key)
  }
}
