import type { OpenOptions } from './cache-under-test.ts'
import type { Floor } from './floors.ts'
import type { HistoryEvent } from './history.ts'

/** Which line of the promise was broken. 3 is judged when all has come to rest. */
export type PromiseNumber = 1 | 2 | 3 | 6

/** One broken promise. */
export interface Violation {
  readonly promise: PromiseNumber
  readonly worker: number
  /** Empty where it concerns no single key. */
  readonly key: string
  readonly atMs: number
  readonly what: string
  /** The write or invalidation that was not heeded, for example `delete`. */
  readonly cause: string
}

/** Limits that the checker holds a cache to. */
export interface Limits {
  readonly maxStalenessMs: number
  /** Added to `maxStalenessMs`, for clocks and schedulers. */
  readonly slackMs: number
  /** Longest time of one call beyond its loader's, apart from time the process itself was held up. */
  readonly maxWaitMs: number
}

/** How the processes behave. */
export interface WorkloadOptions {
  readonly readers: number
  /** Mean pause of a process between two writes. */
  readonly writeEveryMs: number
  /** A loader takes up to twice this. */
  readonly loaderMs: number
  /** Share of loads that fail. */
  readonly refusalRatio: number
  /** Share of writes that come while a load of the same key is known to be under way. */
  readonly raceRatio: number
}

/** What a worker process is started with. */
export interface WorkerConfig {
  readonly index: number
  readonly workers: number
  readonly seed: number
  readonly skewMs: number
  readonly sourceUrl: string
  /** URL of the module that exports `open`. */
  readonly adapter: string
  readonly open: OpenOptions
  readonly limits: Limits
  readonly workload: WorkloadOptions
}

/** What a worker did. A run in which nothing happened proves nothing. */
export interface Counts {
  reads: number
  /** Reads that returned a value without a load of this process. */
  hits: number
  loads: number
  writes: number
  invalidations: number
  pending: number
  longestWaitMs: number
}

export type Command = 'run' | 'stop' | 'check' | 'close'

export type ToWorker =
  | { readonly kind: 'command'; readonly command: Command }
  | { readonly kind: 'history'; readonly key: string }
  | { readonly kind: 'floors'; readonly floors: readonly Floor[] }

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'finished'; readonly command: Command; readonly counts: Counts }
  | { readonly kind: 'history'; readonly key: string; readonly events: readonly HistoryEvent[] }
  | { readonly kind: 'floors'; readonly floors: readonly Floor[] }
  | { readonly kind: 'violation'; readonly violation: Violation }
  /** The checker itself does not work. */
  | { readonly kind: 'broken'; readonly reason: string }
