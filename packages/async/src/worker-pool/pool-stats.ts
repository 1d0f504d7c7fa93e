import type { Fleet } from './fleet.ts'
import type { TaskOutcome } from './pool-counters.ts'
import type { PoolWorker, WorkerPhase } from './pool-worker.ts'
import type { CheckedPoolOptions } from './worker-pool-options.ts'

/** What an autoscaler decides by. */
export interface PoolLoad {
  readonly size: number
  /** Workers that hold at least one task. */
  readonly busy: number
  /** Tasks that wait for a worker. */
  readonly queued: number
  /** Tasks in the hands of workers. */
  readonly inFlight: number
  /** Tasks that can run at once. */
  readonly capacity: number
  /** Share of the capacity in use, 0 to 1. */
  readonly utilization: number
}

/** One worker of {@link PoolStats}. */
export interface WorkerStats {
  readonly workerId: number
  readonly phase: WorkerPhase
  readonly inFlight: number
  /** Tasks that it has answered, whatever the answer was. */
  readonly answered: number
  readonly runMs: number
  readonly ageMs: number
  /** As it last said; 0 before. */
  readonly heapBytes: number
}

/** What {@link WorkerPool.stats} tells. */
export interface PoolStats extends PoolLoad {
  readonly pool: string
  readonly kind: 'thread' | 'process'
  /** Tasks by how they ended for their callers. */
  readonly outcomes: Readonly<Record<TaskOutcome, number>>
  /** Tasks sent to another worker before they began. */
  readonly moved: number
  readonly lateErrors: number
  readonly workersStarted: number
  readonly workersEnded: number
  readonly workers: readonly WorkerStats[]
}

export function loadOf(fleet: Fleet, queued: number, options: CheckedPoolOptions): PoolLoad {
  const size = fleet.live.length
  let busy = 0
  let inFlight = 0
  let used = 0
  for (const { held } of fleet.live) {
    if (held.size > 0) busy += 1
    inFlight += held.size
    used += Math.min(held.size, options.concurrencyPerWorker)
  }
  const capacity = size * options.concurrencyPerWorker
  return {
    size,
    busy,
    queued,
    inFlight,
    capacity,
    utilization: capacity === 0 ? 0 : used / capacity,
  }
}

export function statsOf(fleet: Fleet, queued: number, options: CheckedPoolOptions): PoolStats {
  const { counters, clock } = fleet
  const nowMs = clock.monotonicMs()
  return {
    ...loadOf(fleet, queued, options),
    pool: options.name,
    kind: options.kind,
    outcomes: { ...counters.outcomes },
    moved: counters.moved,
    lateErrors: counters.lateErrors,
    workersStarted: counters.workersStarted,
    workersEnded: counters.workersEnded,
    workers: fleet.live.map((worker) => statsOfWorker(worker, nowMs)),
  }
}

function statsOfWorker(worker: PoolWorker, nowMs: number): WorkerStats {
  return {
    workerId: worker.id,
    phase: worker.phase,
    inFlight: worker.held.size,
    answered: worker.answered,
    runMs: worker.runMs,
    ageMs: nowMs - worker.startedMs,
    heapBytes: worker.heapBytes,
  }
}
