import type { Clock } from '@dharma/core'
import type { TagRecord } from './invalidation-view.ts'
import { compileGlob } from './invalidation/glob.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import { parseLogEvent } from './invalidation/log-event.ts'
import { parseStoredPatterns } from './invalidation/stored-patterns.ts'
import { UNKNOWN } from './invalidation/tag-table.ts'
import { Coalescer } from './redis/coalescer.ts'
import { IDENTITY_BYTES, type EntryFormat, type EntryHeader } from './redis/entry-format.ts'
import type { KeyLayout } from './redis/key-layout.ts'
import { parseFailure, type Leases, type RemoteFailure } from './redis/leases.ts'
import type { RedisRunner } from './redis/redis-runner.ts'

/** What a read of Redis found. */
export type SharedRead =
  | {
      readonly kind: 'hit'
      readonly value: unknown
      readonly header: EntryHeader
      /** By Redis' own clock. */
      readonly ageMs: number
      readonly sizeBytes: number
      /** The entry as it is in Redis; its first bytes tell it from others. */
      readonly bytes: Buffer
      /** When the read began. */
      readonly askedMs: number
    }
  /** Nothing, or nothing usable: `bytes` of what is there then. */
  | { readonly kind: 'miss'; readonly bytes: Buffer }

/** What somebody who waits for another's load may find. */
export interface WaitedRead {
  readonly read: SharedRead
  readonly failure: RemoteFailure | undefined
  /** Whether somebody has the lease. */
  readonly isHeld: boolean
}

export interface SharedTierOptions {
  readonly runner: RedisRunner
  readonly layout: KeyLayout
  readonly format: EntryFormat
  readonly leases: Leases
  readonly state: InvalidationState
  readonly clock: Clock
  readonly tagLifeMs: number
  /** An entry that cannot be read: it counts as a miss. */
  readonly onUnreadable: (error: unknown) => void
}

/** Records of the log that are looked at for tags that became known late. */
const MAX_LOOKED_BACK = 200
const NOTHING = Buffer.alloc(0)
const MISS: SharedRead = { kind: 'miss', bytes: NOTHING }

/** What tells the entry that was read from another of the same key; empty if there was none. */
export function identityOf({ bytes }: SharedRead): Buffer {
  return bytes.subarray(0, IDENTITY_BYTES)
}

/** Reads of Redis (L2), in which only current entries are hits. */
export class SharedTier {
  readonly leases: Leases
  readonly #options: SharedTierOptions
  readonly #coalescer: Coalescer
  readonly #nameOf = (key: string): string => this.#options.layout.entry(key)
  /** Redis' clock minus this process' monotonic one. */
  #serverOffsetMs: number | undefined

  constructor(options: SharedTierOptions) {
    this.#options = options
    this.leases = options.leases
    this.#coalescer = new Coalescer(options.runner.link, options.runner.run, options.clock)
  }

  /** Redis' time now, once it has told it. */
  get serverMs(): number | undefined {
    if (this.#serverOffsetMs === undefined) return undefined
    return this.#options.clock.monotonicMs() + this.#serverOffsetMs
  }

  heardServerTime(monotonicMs: number, serverMs: number): void {
    this.#serverOffsetMs = serverMs - monotonicMs
  }

  read(key: string): Promise<SharedRead> {
    return this.#coalescer.get(this.#options.layout.entry(key), (bytes, askedMs, nowMs) =>
      this.examine(key, bytes, askedMs, nowMs),
    )
  }

  async readMany(keys: readonly string[]): Promise<SharedRead[]> {
    const askedMs = this.#options.clock.monotonicMs()
    const all = await this.#coalescer.getMany(keys.map((key) => this.#options.layout.entry(key)))
    const asked: Promise<unknown>[] = []
    const reads: SharedRead[] = []
    const nowMs = this.#options.clock.monotonicMs()
    for (let index = 0; index < keys.length; index++) {
      const read = this.examine(keys[index] as string, all[index] ?? null, askedMs, nowMs)
      if (read instanceof Promise) {
        reads.push(MISS)
        asked.push(read.then((answer) => (reads[index] = answer)))
      } else {
        reads.push(read)
      }
    }
    if (asked.length > 0) await Promise.all(asked)
    return reads
  }

  /** The entry, and what the holder of the key's lease may have left instead of one. */
  async readAwaited(key: string): Promise<WaitedRead> {
    const { layout, clock } = this.#options
    const askedMs = clock.monotonicMs()
    const [bytes = null, lease = null] = await this.#coalescer.getMany([
      layout.entry(key),
      layout.lease(key),
    ])
    const failure = parseFailure(lease)
    const isHeld = lease !== null && failure === undefined
    return { read: await this.examine(key, bytes, askedMs), failure, isHeld }
  }

  /** What an entry's bytes are worth now. */
  examine(
    key: string,
    bytes: Buffer | null,
    askedMs: number,
    nowMs: number = this.#options.clock.monotonicMs(),
  ): SharedRead | Promise<SharedRead> {
    if (bytes === null) return MISS
    const { format, state } = this.#options
    const header = format.header(bytes)
    if (header === undefined) return { kind: 'miss', bytes }
    const verdict = state.judge(key, header)
    if (verdict === 'outdated') return { kind: 'miss', bytes }
    if (verdict === 'ask' || nowMs > state.trustedUntilMs) {
      return this.#ask(key, bytes, header, askedMs)
    }
    return this.#hit(key, bytes, header, askedMs, nowMs)
  }

  /** Reads the versions of tags that are not known, and makes those that Redis does not have. */
  async ensureTags(records: readonly TagRecord[]): Promise<void> {
    const { layout, state, clock } = this.#options
    const isTrusted = clock.monotonicMs() <= state.trustedUntilMs
    const wanted = isTrusted ? records.filter(({ version }) => version === UNKNOWN) : records
    if (wanted.length === 0) return
    const [last = null, ...found] = await this.#coalescer.getMany([
      layout.version,
      ...wanted.map(({ name }) => layout.tag(name)),
    ])
    // What is loaded or written from now on includes it; a tag made below must not be younger.
    if (last !== null) state.sawVersion(Number(last.toString()))
    await Promise.all(
      wanted.map(async (record, index) => {
        const version = found[index] ?? null
        if (version !== null) state.learnTag(record, Number(version.toString()))
        else if (last !== null) await this.makeTag(record, Number(last.toString()))
      }),
    )
  }

  /**
   * As {@link ensureTags}, for tags that became known after a load which began at `startVersion`. One
   * that Redis does not have cannot have been invalidated meanwhile if nothing was; else, its loss
   * could hide it, and the entry is left out.
   */
  async ensureLateTags(records: readonly TagRecord[], startVersion: number): Promise<void> {
    const { layout, state } = this.#options
    const found = await this.#coalescer.getMany(records.map(({ name }) => layout.tag(name)))
    const missing: TagRecord[] = []
    for (const [index, record] of records.entries()) {
      const version = found[index] ?? null
      if (version === null) missing.push(record)
      else state.learnTag(record, Number(version.toString()))
    }
    if (missing.length === 0) return
    const { wasBumped, lastVersion } = await this.#bumpsSince(startVersion)
    await Promise.all(
      missing.map((record) =>
        this.makeTag(record, wasBumped(record.name) ? lastVersion : startVersion),
      ),
    )
  }

  /** Makes a tag that Redis does not have; entries older than `version` do not match it. */
  async makeTag(record: TagRecord, version: number): Promise<void> {
    const { runner, layout, tagLifeMs, state } = this.#options
    const reply = await runner.script(
      'dharmaEnsureTag',
      [layout.tag(record.name)],
      [version, tagLifeMs],
    )
    state.learnTag(record, Number(String(reply)))
  }

  /** Which tags the log says were invalidated after a version; all, where the log does not reach back. */
  async #bumpsSince(
    startVersion: number,
  ): Promise<{ readonly wasBumped: (tag: string) => boolean; readonly lastVersion: number }> {
    const { runner, layout } = this.#options
    const { client } = runner.link
    const [last = null] = await this.#coalescer.getMany([layout.version])
    let lastVersion = Number(last?.toString() ?? 0)
    if (lastVersion === startVersion) return { wasBumped: () => false, lastVersion }
    const records = await runner.run(() =>
      client.xrevrangeBuffer(layout.log, '+', '-', 'COUNT', MAX_LOOKED_BACK),
    )
    const bumped = new Set<string>()
    let reachesBack = false
    for (const [, fields] of records) {
      const event = parseLogEvent(fields)
      if (event?.kind !== 'invalidation') continue
      lastVersion = Math.max(lastVersion, event.version)
      if (event.version <= startVersion || event.previous <= startVersion) reachesBack = true
      if (event.version <= startVersion) break
      for (const tag of event.targets.tags ?? []) bumped.add(tag)
    }
    return { wasBumped: (tag) => !reachesBack || bumped.has(tag), lastVersion }
  }

  close(): void {
    this.#options.runner.close()
  }

  /** Lets Redis say whether an entry is current: its last number, its patterns, and the tags' versions. */
  async #ask(
    key: string,
    bytes: Buffer,
    header: EntryHeader,
    askedMs: number,
  ): Promise<SharedRead> {
    const { layout, state } = this.#options
    const records = header.tags.map((tag) => state.tags.record(tag))
    const [last = null, stored = null, ...versions] = await this.#coalescer.getMany([
      layout.version,
      layout.patterns,
      ...header.tags.map((tag) => layout.tag(tag)),
    ])
    if (last === null || stored === null) return { kind: 'miss', bytes }
    const lastVersion = Number(last.toString())
    state.sawVersion(lastVersion)
    for (const [index, record] of records.entries()) {
      const version = versions[index] ?? null
      if (version !== null) state.learnTag(record, Number(version.toString()))
      else if (record.version === UNKNOWN) await this.makeTag(record, lastVersion)
    }
    const { floorVersion, patterns } = parseStoredPatterns(stored.toString())
    const isOutdated =
      header.version > lastVersion ||
      header.version < floorVersion ||
      patterns.some(
        ([version, pattern]) => version > header.version && compileGlob(pattern)(key),
      ) ||
      versions.some((version) => version === null || Number(version.toString()) > header.version) ||
      state.judge(key, header) === 'outdated'
    return isOutdated ? { kind: 'miss', bytes } : this.#hit(key, bytes, header, askedMs)
  }

  #hit(
    key: string,
    bytes: Buffer,
    header: EntryHeader,
    askedMs: number,
    nowMs: number = this.#options.clock.monotonicMs(),
  ): SharedRead {
    const { format, onUnreadable } = this.#options
    try {
      const value = format.value(this.#nameOf, key, bytes)
      const offsetMs = this.#serverOffsetMs
      const ageMs = offsetMs === undefined ? 0 : Math.max(0, nowMs + offsetMs - header.createdMs)
      return { kind: 'hit', value, header, ageMs, sizeBytes: bytes.length, bytes, askedMs }
    } catch (error) {
      onUnreadable(error)
      return { kind: 'miss', bytes }
    }
  }
}
