import type { Clock } from '@dharma/core'
import type { Deadlines } from './deadlines.ts'
import type { ErrorDecoder } from './error-decoder.ts'
import type { PoolCounters } from './pool-counters.ts'
import type { PoolTask } from './pool-task.ts'
import type { PoolWorker } from './pool-worker.ts'

/** Why a worker is gone. */
export interface WorkerEnd {
  readonly reason: WorkerEndReason
  /** Whether a task answers for it; if none does, it counts towards a crash loop. */
  readonly isBlamed: boolean
  readonly error: unknown
}

/**
 * `left`: it was told to; `late`: it threw outside of every task; `ended`: the pool ended it over a
 * task that did not stop.
 */
export type WorkerEndReason = 'left' | 'late' | 'ended' | 'exit' | 'memory' | 'channel' | 'start'

/** What a worker shares with the other workers of its pool, and whom it tells. */
export interface WorkerOwner {
  readonly pool: string
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly decoder: ErrorDecoder
  readonly counters: PoolCounters
  readonly concurrency: number
  /** Tasks that a worker may answer in its life. */
  readonly recycleTasks: number
  readonly heapLimitMb: number | undefined
  readonly abortGraceMs: number
  readonly unresponsiveMs: number
  onReady(worker: PoolWorker): void
  /** It has room for more. */
  onRoom(worker: PoolWorker): void
  /** Tasks that it did not begin and will not: they go elsewhere. In order. */
  onReturned(tasks: readonly PoolTask[]): void
  /** It takes no more tasks; a replacement may start. */
  onLeaving(worker: PoolWorker): void
  onEnded(worker: PoolWorker, end: WorkerEnd): void
  /** Something was thrown that no running task answers for. */
  onLate(worker: PoolWorker, thrown: unknown): void
}
