import type { Redis } from 'ioredis'
import { compileGlob } from '../invalidation/glob.ts'
import { parseStoredPatterns } from '../invalidation/stored-patterns.ts'
import { EntryFormat, type EntryHeader } from '../redis/entry-format.ts'
import { KeyLayout } from '../redis/key-layout.ts'
import type { RedisRunner } from '../redis/redis-runner.ts'

/** What a sample of the keys of some namespaces found, and did about it. */
export interface SampleReport {
  /** Entries looked at. */
  readonly entries: number
  /** Entries that no read can return any more, and which only wait for their TTL. They are removed. */
  readonly orphans: number
  /** Tag records looked at. */
  readonly tags: number
  /** Tag records that nobody has read or written for long. They are removed; an entry that has one is a miss. */
  readonly unusedTags: number
  /** Keys that would never have expired, after a restore for example. They get a TTL. */
  readonly withoutTtl: number
}

export interface NamespaceSamplerOptions {
  readonly runner: RedisRunner
  readonly namespaces: readonly string[]
  /** Keys that one sample asks each node for, about. */
  readonly sampleSize: number
  readonly unusedTagMs: number
}

type Tally = { -readonly [K in keyof SampleReport]: number }

interface Stored {
  readonly layout: KeyLayout
  readonly kind: 'entry' | 'tag'
  readonly name: string
}

/** Enough for the header of an entry with many tags; one with more is left alone. */
const HEADER_BYTES = 4_096
const LIFE_MS = 7 * 24 * 3_600_000

/** Walks through the keys of a Redis in small steps, and removes what is of no use in the namespaces. */
export class NamespaceSampler {
  readonly #options: NamespaceSamplerOptions
  readonly #layouts: readonly KeyLayout[]
  readonly #format = new EntryFormat()
  /** Where the walk through each node is. */
  readonly #cursors = new Map<string, string>()

  constructor(options: NamespaceSamplerOptions) {
    this.#options = options
    this.#layouts = options.namespaces.map((namespace) => new KeyLayout(namespace))
  }

  async sample(): Promise<SampleReport> {
    const tally: Tally = { entries: 0, orphans: 0, tags: 0, unusedTags: 0, withoutTtl: 0 }
    const { link } = this.#options.runner
    const nodes = link.cluster?.nodes('master') ?? [link.client as Redis]
    for (const node of nodes) {
      for (const stored of await this.#step(node)) {
        if (await this.#keepsForEver(node, stored.name)) tally.withoutTtl += 1
        if (stored.kind === 'tag') await this.#look(node, stored, tally)
        else await this.#lookAtEntry(node, stored, tally)
      }
    }
    return tally
  }

  async #step(node: Redis): Promise<Stored[]> {
    const { runner, sampleSize } = this.#options
    const address = `${node.options.host ?? ''}:${node.options.port ?? 0}`
    const cursor = this.#cursors.get(address) ?? '0'
    const [next, names] = await runner.run(() => node.scan(cursor, 'COUNT', sampleSize))
    this.#cursors.set(address, next)
    return names.flatMap((name) => {
      const stored = this.#storedOf(name)
      return stored === undefined ? [] : [stored]
    })
  }

  #storedOf(name: string): Stored | undefined {
    for (const layout of this.#layouts) {
      if (name.startsWith(layout.tag(''))) return { layout, kind: 'tag', name }
      if (name.startsWith(`${layout.namespace}:e:{`)) return { layout, kind: 'entry', name }
    }
    return undefined
  }

  async #keepsForEver(node: Redis, name: string): Promise<boolean> {
    const { runner } = this.#options
    if ((await runner.run(() => node.pttl(name))) !== -1) return false
    await runner.run(() => node.pexpire(name, LIFE_MS))
    return true
  }

  async #look(node: Redis, { name }: Stored, tally: Tally): Promise<void> {
    const { runner, unusedTagMs } = this.#options
    tally.tags += 1
    const idleSeconds = await runner.run(() => idleTime(node, name))
    if (idleSeconds === undefined || idleSeconds * 1_000 < unusedTagMs) return
    tally.unusedTags += await runner.run(() => node.unlink(name))
  }

  async #lookAtEntry(node: Redis, stored: Stored, tally: Tally): Promise<void> {
    const { runner } = this.#options
    const bytes = await runner.run(() => node.getrangeBuffer(stored.name, 0, HEADER_BYTES - 1))
    if (bytes.length < HEADER_BYTES || !isCut(bytes)) {
      const header = this.#format.header(bytes)
      if (header === undefined) return
      tally.entries += 1
      if (await this.#isOrphan(stored, header)) {
        tally.orphans += await runner.run(() => node.unlink(stored.name))
      }
    }
  }

  /** Whether a tag, a pattern or a clear has made it untrue since it was written. */
  async #isOrphan({ layout, name }: Stored, header: EntryHeader): Promise<boolean> {
    const { runner } = this.#options
    const { client } = runner.link
    for (const tag of header.tags) {
      const version = await runner.run(() => client.get(layout.tag(tag)))
      if (version === null || Number(version) > header.version) return true
    }
    const ledger = await runner.run(() => client.get(layout.patterns))
    if (ledger === null) return false
    const { floorVersion, patterns } = parseStoredPatterns(ledger)
    if (header.version < floorVersion) return true
    const key = name.slice(`${layout.namespace}:e:{`.length, -1)
    // Those that begin so are not stored as they are, so no pattern can be held against them.
    if (key.startsWith('#') || key.startsWith('%')) return false
    return patterns.some(
      ([version, pattern]) => version > header.version && compileGlob(pattern)(key),
    )
  }
}

/** Whether the tags do not fit what was read. */
function isCut(bytes: Buffer): boolean {
  return bytes.readUInt16BE(36) + 38 > bytes.length
}

/** In seconds; undefined where the server counts uses and not idle time. */
async function idleTime(node: Redis, name: string): Promise<number | undefined> {
  try {
    return Number(await node.object('IDLETIME', name))
  } catch (error) {
    if (error instanceof Error && error.message.includes('LFU')) return undefined
    throw error
  }
}
