import type { EncodedThrown } from './error-encoder.ts'
import { TaskPayloadError } from './errors.ts'
import type { PoolTask } from './pool-task.ts'
import { FAILURE, VALUE } from './protocol.ts'
import type { WorkerOwner } from './worker-owner.ts'

/** Gives the caller what the worker answered, unless the caller has gone. */
export function settleTask(
  task: PoolTask,
  type: number,
  payload: unknown,
  owner: WorkerOwner,
  workerId: number,
): void {
  const { counters, decoder } = owner
  if (type === VALUE) {
    if (task.resolve(payload)) counters.count('completed')
    return
  }
  const thrown = decoder.decode(payload as EncodedThrown)
  if (type !== FAILURE) refuseTask(task, 'result', thrown, owner, workerId)
  else if (task.reject(thrown)) counters.count('failed')
}

/** Tells the caller what cannot be cloned. */
export function refuseTask(
  task: PoolTask,
  part: 'arguments' | 'result',
  cause: unknown,
  { pool, counters }: WorkerOwner,
  workerId: number,
): void {
  const facts = { pool, task: task.fn.name, workerId, part }
  if (task.reject(new TaskPayloadError(facts, { cause }))) counters.count('refused')
}
