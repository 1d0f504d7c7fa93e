import type { Fence } from './fences.ts'
import type { TagRecord } from './invalidation-view.ts'

/** What a load gave, for those who joined it. */
export interface FlightResult {
  readonly value: unknown
  /** Tags that were known only when the loader had run. */
  readonly lateTags?: readonly TagRecord[]
}

/** One load of one key in this process, which all who want the key share. */
export interface Flight {
  readonly key: string
  readonly fence: Fence
  readonly abort: AbortController
  /** What the entry is known to depend on before the loader runs. */
  readonly tags: readonly TagRecord[]
  /** Epoch and version up to which the value will be current: set anew when the loader starts. */
  startEpoch: number
  startVersion: number
  startMs: number
  /** Something older, for callers whose patience ends and for a loader that fails. */
  stale: { readonly value: unknown; readonly isServable: boolean } | undefined
  /** Callers waiting; a reload behind counts as one that never leaves. */
  callers: number
  result: Promise<FlightResult>
}
