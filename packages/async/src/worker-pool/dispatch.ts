import type { PoolTask } from './pool-task.ts'
import type { PoolWorker } from './pool-worker.ts'
import type { TaskBacklog } from './task-backlog.ts'

/**
 * Hands waiting tasks to the least busy workers, as far as they have room. Tasks known to be short
 * are shared out in one message for each worker; others go one by one to workers that begin them.
 */
export function dispatch(backlog: TaskBacklog, workers: readonly PoolWorker[]): void {
  let share = 0
  for (let head = backlog.peek(); head !== undefined; head = backlog.peek()) {
    const worker = leastBusy(workers, head.isShort) ?? readyPlace(workers, head)
    if (worker === undefined) return
    if (!head.isShort) {
      backlog.shift()
      worker.send([head])
      continue
    }
    if (share === 0) share = Math.ceil(backlog.size / countWithRoom(workers))
    worker.send(takeShort(backlog, Math.min(share, worker.room(true))))
  }
}

function leastBusy(workers: readonly PoolWorker[], isShort: boolean): PoolWorker | undefined {
  let best: PoolWorker | undefined
  for (const worker of workers) {
    if (worker.room(isShort) === 0) continue
    if (best === undefined || worker.held.size < best.held.size) best = worker
  }
  return best
}

/** Where a task of medium length may lie ready until a worker is free, that one or another. */
function readyPlace(workers: readonly PoolWorker[], task: PoolTask): PoolWorker | undefined {
  const canLieReady = task.fn.canLieReady && task.moves === 0 && task.transfer === undefined
  return canLieReady && !task.isShort ? workers.find((worker) => worker.canHoldReady) : undefined
}

function countWithRoom(workers: readonly PoolWorker[]): number {
  let count = 0
  for (const worker of workers) if (worker.room(true) > 0) count += 1
  return count
}

function takeShort(backlog: TaskBacklog, limit: number): PoolTask[] {
  const tasks: PoolTask[] = []
  while (tasks.length < limit) {
    const next = backlog.peek()
    if (next === undefined || !next.isShort) return tasks
    backlog.shift()
    tasks.push(next)
  }
  return tasks
}
