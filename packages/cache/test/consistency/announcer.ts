import { setTimeout as pause } from 'node:timers/promises'
import type { CacheUnderTest, Outcome } from './cache-under-test.ts'
import type { Floor } from './floors.ts'
import type { Judge } from './judge.ts'
import { machineMs } from './machine-time.ts'
import type { Limits } from './messages.ts'

const ASK_EVERY_MS = 20
const SAVE_OURSELVES_MS = 15_000

export interface AnnouncerOptions {
  readonly worker: number
  readonly cache: CacheUnderTest
  readonly judge: Judge
  readonly limits: Limits
  readonly tellOthers: (floors: readonly Floor[]) => void
}

/** Turns writes that resolved into floors: of this process at once, of the others after `maxStalenessMs`. */
export class Announcer {
  readonly #options: AnnouncerOptions
  #pending: Floor[] = []
  #watching: Promise<void> | undefined

  constructor(options: AnnouncerOptions) {
    this.#options = options
  }

  /** A write or an invalidation has resolved; `versions` are what the source held when it began. */
  resolved(cause: string, versions: ReadonlyMap<string, number>, outcome: Outcome): void {
    const { judge, worker } = this.#options
    const fromMs = machineMs()
    const floors = [...versions].map(([key, version]) => ({
      key,
      version,
      fromMs,
      by: worker,
      cause,
    }))
    for (const floor of floors) {
      judge.floors.add(floor)
      judge.history.note(floor.key, `${cause} ${outcome}, none below v${floor.version} any more`)
    }
    if (outcome === 'done') {
      this.#announce(floors)
      return
    }
    judge.counts.pending++
    this.#pending.push(...floors)
    this.#watching ??= this.#watch().finally(() => {
      this.#watching = undefined
    })
  }

  /** The source was written and nobody is told: older values end with their TTL. */
  expires(key: string, version: number, afterMs: number): void {
    const { worker, judge, tellOthers } = this.#options
    const fromMs = machineMs() + afterMs
    const floor = { key, version, fromMs, by: worker, cause: 'TTL' }
    judge.floors.add(floor)
    tellOthers([floor])
  }

  /** Resolves when nothing is pending any more; a violation if that takes too long. */
  async settled(): Promise<void> {
    const patience = new AbortController()
    const timedOut = pause(SAVE_OURSELVES_MS, 'late', { signal: patience.signal }).catch(() => '')
    const outcome = await Promise.race([this.#watching, timedOut])
    patience.abort()
    if (outcome !== 'late') return
    const keys = [...new Set(this.#pending.map(({ key }) => key))].join()
    const text = `invalidations of ${keys} were not replayed within ${SAVE_OURSELVES_MS} ms`
    this.#options.judge.violated(6, '', 'replay', text)
  }

  async #watch(): Promise<void> {
    while (this.#pending.length > 0) {
      await pause(ASK_EVERY_MS)
      const asked = this.#pending.length
      if (await this.#options.cache.hasPending()) continue
      const fromMs = machineMs()
      const floors = this.#pending.splice(0, asked)
      for (const { key } of floors) this.#options.judge.history.note(key, 'nothing pending')
      this.#announce(floors.map((floor) => ({ ...floor, fromMs })))
    }
  }

  #announce(floors: readonly Floor[]): void {
    const { maxStalenessMs, slackMs } = this.#options.limits
    const afterMs = maxStalenessMs + slackMs
    this.#options.tellOthers(floors.map((floor) => ({ ...floor, fromMs: floor.fromMs + afterMs })))
  }
}
