import type { CrashLoopError } from './errors.ts'
import type { Fleet } from './fleet.ts'
import type { CheckedPoolOptions } from './worker-pool-options.ts'

/**
 * `down`: closed, or no worker left and none may start. `degraded`: works, but workers crash in a
 * loop or tasks are refused.
 */
export interface WorkerPoolHealth {
  readonly status: 'up' | 'degraded' | 'down'
  /** One sentence; absent when all is well. */
  readonly reason?: string
  /** The crash loop, while there is one; its `cause` is what ended the last worker. */
  readonly cause?: CrashLoopError
}

export function healthOf(
  { guard, live }: Fleet,
  queued: number,
  { name, maxQueue }: CheckedPoolOptions,
  isClosing: boolean,
): WorkerPoolHealth {
  if (isClosing) return { status: 'down', reason: `${name} is closed` }
  const cause = guard.error
  if (cause !== undefined) {
    const reason = `workers of ${name} crash in a loop`
    return { status: live.length === 0 ? 'down' : 'degraded', reason, cause }
  }
  if (queued < maxQueue) return { status: 'up' }
  return { status: 'degraded', reason: `the queue of ${name} is full` }
}
