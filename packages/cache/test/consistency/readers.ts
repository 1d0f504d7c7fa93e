import { setTimeout as pause } from 'node:timers/promises'
import { SourceRefusal, type CacheUnderTest, type Versioned } from './cache-under-test.ts'
import type { Found, Judge } from './judge.ts'
import type { Keyspace, Subject } from './keyspace.ts'
import type { WorkloadOptions } from './messages.ts'
import type { Random } from './random.ts'
import type { SourceOfTruth } from './source-of-truth.ts'

/** What the parts of a process' workload share. */
export interface Workshop {
  readonly cache: CacheUnderTest
  readonly source: SourceOfTruth
  readonly judge: Judge
  readonly keyspace: Keyspace
  readonly random: Random
  readonly options: WorkloadOptions
}

const READS = { peek: 20, get: 18, getMany: 8, getOrLoad: 48, getOrLoadMany: 6 }
const MAX_PAUSE_MS = 4
const MANY = 6
/** Loads of one key that may follow each other in one call: another's that failed, then its own. */
const LOADS_IN_A_CALL = 2

/** Reads of one process, in every way that a cache offers. */
export class Readers {
  readonly #workshop: Workshop

  constructor(workshop: Workshop) {
    this.#workshop = workshop
  }

  /** Reads at random until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { random } = this.#workshop
    while (!signal.aborted) {
      await this.#readOne()
      await pause(random.integer(0, MAX_PAUSE_MS))
    }
  }

  /** Reads each key in every way, now that all has come to rest: only the source's version is right. */
  async check(): Promise<void> {
    const { cache, source, judge, keyspace } = this.#workshop
    const subjects = keyspace.subjects.filter(({ kind }) => kind !== 'expiring')
    const keys = subjects.map(({ key }) => key)
    const versions = await source.readMany(keys)
    const found: (readonly [string, Found | undefined])[] = []
    for (const key of keys) {
      found.push(['peek', await judge.read('peek', [key], 0, () => one(cache.peek(key)))])
      found.push(['get', await judge.read('get', [key], 0, async () => one(await cache.get(key)))])
    }
    found.push(['getMany', await judge.read('getMany', keys, 0, () => cache.getMany(keys))])
    for (const subject of subjects) {
      const loaded = await judge.read('getOrLoad', [subject.key], this.#allowanceMs, async () => {
        const value = { key: subject.key, version: await source.read(subject.key) }
        return one(await cache.getOrLoad(subject, () => Promise.resolve(value)))
      })
      found.push(['getOrLoad', loaded])
      if (loaded !== undefined && !loaded.has(subject.key)) {
        judge.violated(3, subject.key, 'rest', 'getOrLoad gave nothing, although all is at rest')
      }
    }
    for (const [how, values] of found) {
      for (const { key, version } of values?.values() ?? []) {
        const right = versions.get(key) ?? 0
        if (version === right) continue
        const text = `${how} gives v${version}, the source has v${right}, although all is at rest`
        judge.violated(3, key, 'rest', text)
      }
    }
  }

  /** One load in the usual way; for writers that want to meet it under way. */
  async getOrLoad(subject: Subject): Promise<void> {
    const { cache, judge } = this.#workshop
    let hasLoaded = false
    const found = await judge.read('getOrLoad', [subject.key], this.#allowanceMs, async () => {
      const load = (): Promise<Versioned> => {
        hasLoaded = true
        return this.#load(subject.key)
      }
      return one(await cache.getOrLoad(subject, load))
    })
    if (!hasLoaded) this.#countHits(found)
  }

  get #allowanceMs(): number {
    return LOADS_IN_A_CALL * 2 * this.#workshop.options.loaderMs
  }

  async #readOne(): Promise<void> {
    const { cache, judge, keyspace, random } = this.#workshop
    const subject = random.pick(keyspace.subjects)
    const { key } = subject
    switch (random.weighted(READS)) {
      case 'peek': {
        this.#countHits(await judge.read('peek', [key], 0, () => one(cache.peek(key))))
        return
      }
      case 'get': {
        this.#countHits(await judge.read('get', [key], 0, async () => one(await cache.get(key))))
        return
      }
      case 'getMany': {
        const keys = this.#several().map((each) => each.key)
        this.#countHits(await judge.read('getMany', keys, 0, () => cache.getMany(keys)))
        return
      }
      case 'getOrLoad': {
        await this.getOrLoad(subject)
        return
      }
      case 'getOrLoadMany': {
        // One call has one set of options, so its keys are alike.
        const alike = this.#several().filter(
          ({ kind, ttlMs }) => kind === subject.kind && ttlMs === subject.ttlMs,
        )
        await this.#getOrLoadMany(alike)
      }
    }
  }

  async #getOrLoadMany(subjects: readonly Subject[]): Promise<void> {
    if (subjects.length === 0) return
    const { cache, judge, source, random, options } = this.#workshop
    const keys = subjects.map(({ key }) => key)
    await judge.read('getOrLoadMany', keys, this.#allowanceMs, () =>
      cache.getOrLoadMany(subjects, async (missing) => {
        judge.counts.loads += missing.length
        await pause(random.integer(0, options.loaderMs))
        const versions = await source.readMany(missing)
        await pause(random.integer(0, options.loaderMs))
        return new Map([...versions].map(([key, version]) => [key, { key, version }]))
      }),
    )
  }

  async #load(key: string): Promise<Versioned> {
    const { judge, source, random, options } = this.#workshop
    judge.counts.loads++
    const beforeMs = random.integer(0, options.loaderMs)
    const afterMs = random.integer(0, options.loaderMs)
    const isRefused = random.chance(options.refusalRatio)
    await pause(beforeMs)
    const version = await source.read(key)
    judge.history.note(key, `loader read v${version}, ends in ${afterMs} ms`)
    await pause(afterMs)
    if (isRefused) throw new SourceRefusal()
    return { key, version }
  }

  #several(): Subject[] {
    const { random, keyspace } = this.#workshop
    return [...new Set(Array.from({ length: MANY }, () => random.pick(keyspace.subjects)))]
  }

  #countHits(found: Found | undefined): void {
    this.#workshop.judge.counts.hits += found?.size ?? 0
  }
}

function one(value: Versioned | undefined): Found {
  return value === undefined ? new Map() : new Map([[value.key, value]])
}
