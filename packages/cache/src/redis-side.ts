import { randomUUID } from 'node:crypto'
import type { CacheLimits, CacheOptions } from './cache-options.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import type { LogEvent } from './invalidation/log-event.ts'
import { LogReader, type LogPosition } from './invalidation/log-reader.ts'
import { EntryFormat } from './redis/entry-format.ts'
import { InvalidationWriter } from './redis/invalidation-writer.ts'
import { KeyLayout } from './redis/key-layout.ts'
import { Leases } from './redis/leases.ts'
import { RedisLink } from './redis/redis-link.ts'
import type { RedisTarget } from './redis/redis-options.ts'
import { RedisRunner } from './redis/redis-runner.ts'
import { SharedTier } from './shared-tier.ts'

export interface RedisSideOptions {
  readonly target: RedisTarget
  readonly cache: CacheOptions
  readonly limits: CacheLimits
  readonly state: InvalidationState
  readonly onEvent: (event: LogEvent) => void
  readonly onRestart: (position: LogPosition, isRollback: boolean) => void
  readonly onReachable: (isReachable: boolean) => void
  readonly onError: (error: unknown) => void
}

/** Patterns that are remembered before the oldest drops everything older than itself. */
export const MAX_PATTERNS = 256
const TAG_LIFE_MS = 7 * 24 * 3_600_000

/** All that a cache keeps open to Redis: one connection for commands, one that reads the log. */
export class RedisSide {
  readonly origin: string = randomUUID()
  readonly layout: KeyLayout
  readonly format: EntryFormat
  readonly runner: RedisRunner
  readonly shared: SharedTier
  readonly writer: InvalidationWriter
  readonly #reader: LogReader
  readonly #firstSync = Promise.withResolvers<void>()

  constructor(options: RedisSideOptions) {
    const { target, cache, limits, state, onError } = options
    const { clock, timeoutMs, maxStalenessMs, leaseMs, maxLogLength } = limits
    this.layout = new KeyLayout(cache.namespace)
    this.format = new EntryFormat({
      ...(cache.codec === undefined ? {} : { codec: cache.codec }),
      readableCodecs: cache.readableCodecs ?? [],
      compressAboveBytes: cache.compressAboveBytes ?? 4_096,
      encryptionKeys: cache.encryptionKeys,
    })
    const link = RedisLink.open(target, onError)
    const { layout } = this
    this.runner = new RedisRunner({
      link,
      clock,
      timeoutMs,
      onBreaker: (isOpen) => options.onReachable(!isOpen),
      // A cluster's log is on one of many nodes, and the reader hears what happens to that one.
      ...(link.isCluster ? {} : { verify: () => this.#reader.verify(link.client) }),
    })
    const { runner } = this
    const replicas = cache.durability === 'replicated' ? 1 : 0
    this.writer = new InvalidationWriter({
      runner,
      layout,
      origin: this.origin,
      maxLogLength,
      maxPatterns: MAX_PATTERNS,
      tagLifeMs: TAG_LIFE_MS,
      replicas,
      timeoutMs,
    })
    this.shared = new SharedTier({
      runner,
      layout,
      format: this.format,
      leases: new Leases({ runner, layout, leaseMs, maxLogLength }),
      state,
      clock,
      tagLifeMs: TAG_LIFE_MS,
      onUnreadable: onError,
    })
    // A read waits for half of the staleness allowed and proves the state at its end, so that a
    // healthy process is always well inside.
    const trustMs = maxStalenessMs * 0.8
    this.#reader = new LogReader({
      link: link.duplicate(),
      layout,
      clock,
      blockMs: Math.floor(maxStalenessMs / 2),
      silenceMs: trustMs,
      onEvent: options.onEvent,
      onRestart: options.onRestart,
      onError,
      versionHint: () => state.version,
      onSynced: (provenMs, serverMs) => {
        state.trustedUntilMs = provenMs + trustMs
        this.shared.heardServerTime(provenMs, serverMs)
        this.#firstSync.resolve()
      },
    })
  }

  /** Resolves when commands can be sent and the log was read to its end for the first time. */
  async ready(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#firstSync.promise, this.runner.link.whenReady(signal)])
  }

  async close(): Promise<void> {
    await this.#reader.close()
    this.shared.close()
  }
}
