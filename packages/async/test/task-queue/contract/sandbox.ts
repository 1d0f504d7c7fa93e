import {
  createTaskQueue,
  defineTask,
  type QueueEngine,
  type Task,
  type TaskOptions,
  type TaskQueue,
  type TaskQueueOptions,
} from '@dharma/async/task-queue'
import { silentLogger, type Clock } from '@dharma/core'
import { z } from 'zod'

export interface QueueContract {
  /** An engine on storage that outlives it: another made later sees the same jobs. */
  readonly createEngine: (options?: { readonly clock?: Clock }) => QueueEngine
  /** Whether two engines see the same jobs. */
  readonly isShared: boolean
  /** A prefix that no other test of the run uses. */
  readonly scope: string
}

/** Long enough for anything that should happen. */
export const SOON = { timeoutMs: 10_000 } as const

export interface Sandbox extends AsyncDisposable {
  readonly queue: TaskQueue
  readonly engine: QueueEngine
  /** A task whose name and queue are this test's own. */
  define<Result, Schema extends z.ZodType = z.ZodObject>(
    name: string,
    options: Omit<TaskOptions<Schema, Result>, 'name' | 'input'> & { readonly input?: Schema },
  ): Task<z.input<Schema>, Result>
}

/** A queue of its own for a test. */
export function sandboxOf(
  { createEngine, scope }: QueueContract,
  options: Omit<TaskQueueOptions, 'engine'> = {},
): Sandbox {
  const { clock } = options
  const engine = createEngine(clock === undefined ? {} : { clock })
  const queue = createTaskQueue({ logger: silentLogger, ...options, engine })
  const own = `${scope}.${Math.random().toString(36).slice(2, 8)}`
  return {
    queue,
    engine,
    define: (name, { queue: queueName, input, ...rest }) =>
      defineTask({
        ...rest,
        name: `${scope}.${name}`,
        queue: queueName === undefined ? own : `${scope}.${queueName}`,
        input: (input ?? z.object({})) as never,
      }) as never,
    [Symbol.asyncDispose]: () => queue.close(),
  }
}
