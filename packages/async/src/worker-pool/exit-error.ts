import type { ChannelExit } from './channel.ts'
import { WorkerChannelError, WorkerExitError, WorkerMemoryError, type TaskFacts } from './errors.ts'
import type { WorkerEndReason } from './worker-owner.ts'

/** What the caller of a task is told whose worker is gone. */
export function exitErrorOf(
  facts: TaskFacts & { readonly heapLimitMb: number | undefined; readonly wasStarted: boolean },
  exit: ChannelExit,
  reason: WorkerEndReason,
  cause: unknown,
): Error {
  const options = cause === undefined ? {} : { cause }
  if (reason === 'memory') return new WorkerMemoryError(facts, options)
  if (reason === 'channel') return new WorkerChannelError(facts, options)
  const { exitCode, signal } = exit
  return new WorkerExitError({ ...facts, exitCode, signal }, options)
}
