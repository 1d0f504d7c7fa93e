import type { EncodedEntry } from './entry-format.ts'
import type { KeyLayout } from './key-layout.ts'
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

export interface WriteReply {
  readonly isStored: boolean
  readonly version: number
  readonly serverMs: number
}

const MAX_NAMES_PER_SCRIPT = 1_000

/** Writes that others must hear of: entries set, and invalidations. */
export class InvalidationWriter {
  readonly #options: InvalidationWriterOptions

  constructor(options: InvalidationWriterOptions) {
    this.#options = options
  }

  /** Sets an entry, whatever was there, unless it is later than `notAfterMs` by Redis' clock. */
  async write(
    key: string,
    entry: EncodedEntry,
    lifeMs: number,
    { version, notAfterMs }: { readonly version: number; readonly notAfterMs: number | undefined },
  ): Promise<WriteReply> {
    const { runner, layout, maxLogLength, origin } = this.#options
    const { isCluster } = runner.link
    const keys = [layout.entry(key), layout.lease(key)]
    if (!isCluster) keys.push(layout.version, layout.patterns, layout.log)
    const reply = (await runner.script('dharmaWrite', keys, [
      entry.head,
      entry.rest,
      Math.max(1, Math.ceil(lifeMs)),
      notAfterMs === undefined ? '' : Math.ceil(notAfterMs),
      version,
      version,
      maxLogLength,
      origin,
      JSON.stringify({ k: [key] }),
    ])) as [number, Buffer, Buffer, Buffer]
    const isStored = reply[0] === 1
    const ownVersion = Number(reply[1].toString())
    const logged = isStored && isCluster ? await this.#append({ keys: [key] }, version) : ownVersion
    if (isStored) await this.#replicate([layout.entry(key), layout.log])
    return { isStored, version: logged, serverMs: Number(reply[3].toString()) }
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
      const { client } = runner.link
      await Promise.all(
        keys.map((key) => runner.run(() => client.unlink(layout.entry(key), layout.lease(key)))),
      )
      version = await this.#append(targets, versionHint)
      await Promise.all(
        tags.map((tag) =>
          runner.script('dharmaBump', [layout.tag(tag)], [version, this.#options.tagLifeMs]),
        ),
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
