import type { ErrorDecoder } from './error-decoder.ts'
import type { EncodedThrown } from './error-encoder.ts'
import { TaskPayloadError } from './errors.ts'
import type { PoolTask } from './pool-task.ts'
import { FAILURE, VALUE } from './protocol.ts'
import type { WorkerOwner } from './worker-owner.ts'

/** The value that a worker answered with, or what was thrown. @throws at what no worker sends. */
export function answerOf(type: number, payload: unknown, decoder: ErrorDecoder): unknown {
  return type === VALUE ? payload : decoder.decode(payload as EncodedThrown)
}

/** Gives the caller what the worker answered, a value or what was thrown, unless the caller has gone. */
export function settleTask(
  task: PoolTask,
  type: number,
  answer: unknown,
  owner: WorkerOwner,
  workerId: number,
): void {
  const { counters } = owner
  if (type === VALUE) {
    if (task.resolve(answer)) counters.count('completed')
  } else if (type === FAILURE) {
    if (task.reject(answer)) counters.count('failed')
  } else refuseTask(task, 'result', answer, owner, workerId)
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
