import type { Subject } from './keyspace.ts'

/** What the source of truth said of a key. Versions of a key only grow. */
export interface Versioned {
  readonly key: string
  readonly version: number
}

/**
 * `pending`: this process has forgotten the older value, the others will as soon as
 * {@link CacheUnderTest.hasPending} ends.
 */
export type Outcome = 'done' | 'pending'

/** One process' view of a cache, as the checker drives it. */
export interface CacheUnderTest {
  /** Memory only. */
  peek(key: string): Versioned | undefined
  get(key: string): Promise<Versioned | undefined>
  getMany(keys: readonly string[]): Promise<ReadonlyMap<string, Versioned>>
  getOrLoad(subject: Subject, load: () => Promise<Versioned>): Promise<Versioned | undefined>
  getOrLoadMany(
    subjects: readonly Subject[],
    loadMany: (keys: readonly string[]) => Promise<ReadonlyMap<string, Versioned>>,
  ): Promise<ReadonlyMap<string, Versioned>>
  set(subject: Subject, value: Versioned): Promise<Outcome>
  delete(keys: readonly string[]): Promise<Outcome>
  /** `covered`: the keys with one of the tags, for a cache that knows no tags. */
  invalidateTags(tags: readonly string[], covered: readonly string[]): Promise<Outcome>
  /** `covered`: the keys that match, for a cache that knows no patterns. */
  invalidatePattern(pattern: string, covered: readonly string[]): Promise<Outcome>
  clear(): Promise<Outcome>
  /** Whether something that resolved as `pending` has not been told to the others yet. */
  hasPending(): Promise<boolean>
  /** Whether an error is the loader's own, or its news from another process. */
  isLoaderFailure(error: unknown): boolean
  close(): Promise<void>
}

/** Where the cache's Redis is, in a form that can be sent to another process. */
export type CacheTarget =
  | { readonly mode: 'standalone'; readonly url: string }
  | {
      readonly mode: 'sentinel'
      readonly sentinels: readonly { readonly host: string; readonly port: number }[]
      readonly name: string
    }
  | {
      readonly mode: 'cluster'
      readonly nodes: readonly { readonly host: string; readonly port: number }[]
    }

/** What an adapter is told. */
export interface OpenOptions {
  readonly target: CacheTarget
  readonly namespace: string
  readonly maxStalenessMs: number
  readonly timeoutMs: number
  readonly leaseMs: number
  readonly durability: 'acknowledged' | 'replicated'
  /** Which of several variants of an adapter. */
  readonly variant: string
}

/** What the module of an adapter exports as `open`. Resolves once the cache works. */
export type OpenCache = (options: OpenOptions) => Promise<CacheUnderTest>

/** Thrown by the checker's loader now and then; a cache may let its callers see it. */
export class SourceRefusal extends Error {
  override readonly name = 'SourceRefusal'
  readonly code = 'SOURCE_REFUSED'

  constructor() {
    super('the source refused, as the checker wanted it')
  }
}
