import { systemClock, type Clock, type Metrics } from '@dharma/core'
import type { Codec } from './codec.ts'
import { checkNumber, type EntryOptions } from './entry-options.ts'
import type { DegradedEvent } from './invalidations.ts'
import type { EncryptionKey } from './redis/encryption.ts'
import type { RedisTarget } from './redis/redis-options.ts'

export interface CacheOptions {
  /** In front of every key in Redis, 1 to 64 of `A-Z a-z 0-9 _ . : -`. Put a version in it to drop all at a deploy. */
  readonly namespace: string
  /** Where Redis is: a URL, a description, or a client. Left out, the cache is this process' own. */
  readonly redis?: RedisTarget | undefined
  /** Bounds of the memory tier; `false` for none. @default 50_000 entries */
  readonly memory?: MemoryOptions | false | undefined
  /** For entries that do not say otherwise. */
  readonly defaults?: EntryOptions | undefined
  /** What is configured for policies, by their name; it goes before what they say themselves. */
  readonly policies?: Readonly<Record<string, EntryOptions>> | undefined
  /** Limit of every command to Redis. At least 1. @default 250 */
  readonly timeoutMs?: number | undefined
  /** How long another process' invalidation may go unnoticed, whatever happens. At least 100. @default 2_000 */
  readonly maxStalenessMs?: number | undefined
  /** How long a load is another process' alone after the one that ran it has died. At least 100. @default 3_000 */
  readonly leaseMs?: number | undefined
  /** How long one process waits for another's load before it loads itself. @default 10_000 */
  readonly leaseWaitMs?: number | undefined
  /**
   * When a write counts as done: when Redis has it, or when a replica has it too, so that a failover
   * cannot lose it. @default 'acknowledged'
   */
  readonly durability?: 'acknowledged' | 'replicated' | undefined
  /** @default jsonCodec */
  readonly codec?: Codec | undefined
  /** Further codecs, whose entries may be met during a deploy. */
  readonly readableCodecs?: readonly Codec[] | undefined
  /** Encoded values that are larger are compressed. @default 4_096; Infinity for never */
  readonly compressAboveBytes?: number | undefined
  /** Encrypts what goes to Redis with the first key, reads all. @default not encrypted */
  readonly encryptionKeys?: readonly [EncryptionKey, ...EncryptionKey[]] | undefined
  /** Records that the log keeps, about. A process that missed more begins anew. @default 10_000 */
  readonly maxLogLength?: number | undefined
  readonly metrics?: Metrics | undefined
  /** Called when Redis stops answering, and when an invalidation could not be told to it. */
  readonly onDegraded?: ((event: DegradedEvent) => void) | undefined
  /** Errors that no caller waits for. @default ignored */
  readonly onError?: ((error: unknown) => void) | undefined
  readonly clock?: Clock | undefined
  /** In [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined
}

export interface MemoryOptions {
  /** @default 50_000 */
  readonly maxEntries?: number | undefined
  /** By estimate. @default not bounded */
  readonly maxBytes?: number | undefined
  /**
   * What a caller gets on a hit: the very value (`share`: do not change it), the very value made
   * unchangeable (`freeze`), or a copy of its own (`clone`). @default 'share'
   */
  readonly values?: 'share' | 'freeze' | 'clone' | undefined
}

/** The numbers of {@link CacheOptions}, checked, with defaults in place. */
export interface CacheLimits {
  readonly timeoutMs: number
  readonly maxStalenessMs: number
  readonly leaseMs: number
  readonly leaseWaitMs: number
  readonly maxLogLength: number
  readonly clock: Clock
  readonly random: () => number
}

/** @throws RangeError naming option, limit and value. */
export function checkCacheOptions(options: CacheOptions): CacheLimits {
  const { namespace } = options
  if (typeof namespace !== 'string' || !/^[\w.:-]{1,64}$/.test(namespace)) {
    throw new RangeError(`namespace must be 1 to 64 of A-Z a-z 0-9 _ . : -, got '${namespace}'`)
  }
  const limits: CacheLimits = {
    timeoutMs: options.timeoutMs ?? 250,
    maxStalenessMs: options.maxStalenessMs ?? 2_000,
    leaseMs: options.leaseMs ?? 3_000,
    leaseWaitMs: options.leaseWaitMs ?? 10_000,
    maxLogLength: options.maxLogLength ?? 10_000,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  }
  checkNumber('timeoutMs', limits.timeoutMs, 1, 60_000)
  checkNumber('maxStalenessMs', limits.maxStalenessMs, 100, 600_000)
  checkNumber('leaseMs', limits.leaseMs, 100, 600_000)
  checkNumber('leaseWaitMs', limits.leaseWaitMs, 0, 600_000)
  checkNumber('maxLogLength', limits.maxLogLength, 1, 10_000_000)
  return limits
}
