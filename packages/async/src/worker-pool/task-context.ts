import { AsyncLocalStorage } from 'node:async_hooks'

/** What a task can know of itself; also the `this` of a function that is not an arrow function. */
export interface TaskContext {
  /** Unique among the tasks of its worker. */
  readonly taskId: number
  readonly workerId: number
  /** Aborts when the caller's signal does or the task's time is up, with the same reason. */
  readonly signal: AbortSignal
}

const KEY = Symbol.for('@dharma/async/worker-pool/context')

/** One storage in a thread, whichever copy of this module asked first. */
function storage(): AsyncLocalStorage<TaskContext> {
  const shared = globalThis as { [KEY]?: AsyncLocalStorage<TaskContext> }
  return (shared[KEY] ??= new AsyncLocalStorage())
}

/**
 * The context of the task that is running, from anywhere below it, also after an `await`.
 *
 * @throws TypeError outside of a task.
 */
export function taskContext(): TaskContext {
  const context = storage().getStore()
  if (context === undefined) throw new TypeError('taskContext() was called outside of a task')
  return context
}

/** Where a worker keeps the context of what it runs. */
export const contextStorage: AsyncLocalStorage<TaskContext> = storage()

/** A task in a worker; its signal is made when somebody asks for it. */
export class RunningTask implements TaskContext {
  readonly taskId: number
  readonly slot: number
  readonly workerId: number
  readonly startedMs: number
  #abort: AbortController | undefined

  constructor(taskId: number, slot: number, workerId: number, startedMs: number) {
    this.taskId = taskId
    this.slot = slot
    this.workerId = workerId
    this.startedMs = startedMs
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  abort(reason: unknown): void {
    this.#abort ??= new AbortController()
    this.#abort.abort(reason)
  }
}
