import type { EncodedEntry } from './entry-format.ts'
import type { KeyLayout } from './key-layout.ts'
import { runScripts } from './node-batches.ts'
import type { RedisRunner } from './redis-runner.ts'

/** What one invalidation covers. */
export interface InvalidationTargets {
  readonly keys?: readonly string[]
  readonly tags?: readonly string[]
  /** Globs: `*`, `?`, `[abc]`, and `\` before a character that is meant as it is. */
  readonly patterns?: readonly string[]
  /** Everything of the namespace. */
  readonly everything?: boolean
}

export interface InvalidationWriterOptions {
  readonly runner: RedisRunner
  readonly layout: KeyLayout
  /** Tells this process's records in the log from others'. */
  readonly origin: string
  readonly maxLogLength: number
  readonly maxPatterns: number
  /** How long a tag that nobody invalidates is remembered. */
  readonly tagLifeMs: number
  /** Replicas that must have it before it counts as done, and the limit of that wait. */
  readonly replicas: number
  readonly timeoutMs: number
}

/** An entry for a key, and how long Redis keeps it. */
export interface EntryToWrite {
  readonly key: string
  readonly encoded: EncodedEntry
  readonly lifeMs: number
}

export interface WriteReply {
  /** In the order of the entries. */
  readonly areStored: readonly boolean[]
  readonly version: number
}

const MAX_NAMES_PER_SCRIPT = 1_000

/** Writes that others must hear of: entries set, and invalidations. */
export class InvalidationWriter {
  readonly #options: InvalidationWriterOptions

  constructor(options: InvalidationWriterOptions) {
    this.#options = options
  }

  /**
   * Sets entries, whatever was there, in one pipeline a node. One that comes later than `notAfterMs`
   * by Redis' clock is not stored. Returns which were.
   */
  async write(
    entries: readonly EntryToWrite[],
    { version, notAfterMs }: { readonly version: number; readonly notAfterMs: number | undefined },
  ): Promise<WriteReply> {
    const { runner, layout, maxLogLength, origin } = this.#options
    const { isCluster } = runner.link
    const shared = isCluster ? [] : [layout.version, layout.patterns, layout.log]
    const replies = (await runScripts(
      runner,
      'dharmaWrite',
      entries.map(({ key, encoded, lifeMs }) => ({
        keys: [layout.entry(key), layout.lease(key), ...shared],
        parameters: [
          encoded.head,
          encoded.rest,
          Math.max(1, Math.ceil(lifeMs)),
          notAfterMs === undefined ? '' : Math.ceil(notAfterMs),
          version,
          version,
          maxLogLength,
          origin,
          JSON.stringify({ k: [key] }),
        ],
      })),
    )) as [number, Buffer][]
    const areStored = replies.map(([isStored]) => isStored === 1)
    const keys = entries.filter((_, index) => areStored[index]).map(({ key }) => key)
    let last = version
    for (const [, ownVersion] of replies) last = Math.max(last, Number(ownVersion.toString()))
    if (isCluster && keys.length > 0) last = await this.#append({ keys }, version)
    if (keys.length > 0)
      await this.#replicate([...keys.map((key) => layout.entry(key)), layout.log])
    return { areStored, version: last }
  }

  /** Drops or bumps the targets and tells the others. Returns the number of the invalidation. */
  async invalidate(targets: InvalidationTargets, versionHint: number): Promise<number> {
    const { keys = [], tags = [] } = targets
    if (keys.length + tags.length <= MAX_NAMES_PER_SCRIPT)
      return this.#invalidatePart(targets, versionHint)
    let version = versionHint
    for (let from = 0; from < keys.length; from += MAX_NAMES_PER_SCRIPT) {
      version = await this.#invalidatePart(
        { keys: keys.slice(from, from + MAX_NAMES_PER_SCRIPT) },
        version,
      )
    }
    for (let from = 0; from < tags.length; from += MAX_NAMES_PER_SCRIPT) {
      version = await this.#invalidatePart(
        { tags: tags.slice(from, from + MAX_NAMES_PER_SCRIPT) },
        version,
      )
    }
    const { patterns = [], everything = false } = targets
    if (patterns.length > 0 || everything)
      version = await this.#invalidatePart({ patterns, everything }, version)
    return version
  }

  async #invalidatePart(targets: InvalidationTargets, versionHint: number): Promise<number> {
    const { runner, layout } = this.#options
    const { keys = [], tags = [] } = targets
    let version: number
    if (runner.link.isCluster) {
      // A reader that hears of a key must not find it any more; one that does not know a tag's new
      // version yet must not miss the record. Hence keys first and tags last.
      await runScripts(
        runner,
        'dharmaDrop',
        keys.map((key) => ({ keys: [layout.entry(key), layout.lease(key)], parameters: [] })),
      )
      version = await this.#append(targets, versionHint)
      const { tagLifeMs } = this.#options
      await runScripts(
        runner,
        'dharmaBump',
        tags.map((tag) => ({ keys: [layout.tag(tag)], parameters: [version, tagLifeMs] })),
      )
    } else {
      const dropped = keys.flatMap((key) => [layout.entry(key), layout.lease(key)])
      version = await this.#append(
        targets,
        versionHint,
        dropped,
        tags.map((tag) => layout.tag(tag)),
      )
    }
    await this.#replicate([
      layout.log,
      ...keys.map((key) => layout.entry(key)),
      ...tags.map((tag) => layout.tag(tag)),
    ])
    return version
  }

  async #append(
    { keys, tags, patterns = [], everything = false }: InvalidationTargets,
    versionHint: number,
    dropped: readonly string[] = [],
    bumped: readonly string[] = [],
  ): Promise<number> {
    const { runner, layout, maxLogLength, origin, tagLifeMs, maxPatterns } = this.#options
    const names = [layout.version, layout.patterns, layout.log, ...dropped, ...bumped]
    const what = JSON.stringify({ k: keys, t: tags, g: patterns, c: everything || undefined })
    const reply = await runner.script('dharmaInvalidate', names, [
      versionHint,
      maxLogLength,
      origin,
      what,
      dropped.length,
      tagLifeMs,
      patterns.length === 0 ? '' : JSON.stringify(patterns),
      everything ? '1' : '',
      maxPatterns,
    ])
    return Number((reply as [Buffer, Buffer])[0].toString())
  }

  /** Waits until replicas have what was written under the names. */
  async #replicate(names: readonly string[]): Promise<void> {
    const { runner, replicas, timeoutMs } = this.#options
    if (replicas === 0) return
    await runner.waitForReplicas(names, replicas, timeoutMs)
  }
}
