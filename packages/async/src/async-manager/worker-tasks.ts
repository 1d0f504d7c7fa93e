import { basename } from 'node:path'
import { ClosedError, type Clock, type Metrics } from '@dharma/core'
import { WorkerPool, type TaskOptions, type WorkerPoolOptions } from '../worker-pool/index.ts'
import type { TaskArguments, TaskName, TaskResult } from '../worker-pool/index.ts'

/** A function that a module exports, to be run where the module is loaded anew. */
export interface ModuleTask<A extends readonly unknown[], R> {
  readonly module: string
  readonly task: string
  /** Never there: carries the types. */
  readonly signature?: (...args: A) => R
}

/** Picks tasks of one module by name. */
export type ModuleTasks<M extends object> = <K extends TaskName<M>>(
  task: K,
) => ModuleTask<TaskArguments<M, K> & readonly unknown[], TaskResult<M, K>>

/**
 * The functions of a module as tasks, typed by the module itself:
 * `moduleTasks<typeof import('./images.ts')>(new URL('./images.ts', import.meta.url))('resize')`.
 */
export function moduleTasks<M extends object>(module: URL | string): ModuleTasks<M> {
  return (task) => ({ module: String(module), task })
}

/** What can be run in a worker: a self-contained function, or a module's. */
export type WorkerTask<A extends readonly unknown[], R> = ((...args: A) => R) | ModuleTask<A, R>

/** Options of the pools that are opened for tasks; a name, clock and metrics come from the manager. */
export type WorkerTaskPoolOptions = Omit<
  WorkerPoolOptions,
  'module' | 'kind' | 'name' | 'clock' | 'metrics'
>

/** What {@link WorkerTasks} needs of its owner. */
export interface WorkerTasksOptions {
  readonly component: string
  readonly kind: 'thread' | 'process'
  readonly pool: WorkerTaskPoolOptions
  readonly clock: Clock
  readonly metrics: Metrics | undefined
}

/** Pools of one kind: one for self-contained functions and one a module, each opened on first use. */
export class WorkerTasks {
  readonly #options: WorkerTasksOptions
  readonly #pools = new Map<string | undefined, WorkerPool<Record<string, TaskFunction>>>()
  #isClosed = false

  constructor(options: WorkerTasksOptions) {
    this.#options = options
  }

  async run<A extends readonly unknown[], R>(
    task: WorkerTask<A, R>,
    args: A,
    options: TaskOptions | undefined,
  ): Promise<Awaited<R>> {
    if (this.#isClosed) throw new ClosedError(this.#options.component)
    if (typeof task === 'function') return this.#poolOf(undefined).exec(task, args, options)
    const result = await this.#poolOf(task.module).run(task.task, args, options)
    return result as Awaited<R>
  }

  /** Takes no new tasks; those there are have `deadlineMs` to end. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(pools.map((pool) => pool.close({ drain: deadlineMs > 0, deadlineMs })))
  }

  #poolOf(module: string | undefined): WorkerPool<Record<string, TaskFunction>> {
    let pool = this.#pools.get(module)
    if (pool === undefined) {
      const { component, kind, pool: options, clock, metrics } = this.#options
      const name = `${component} ${kind}s`
      pool = new WorkerPool({
        min: 0,
        ...options,
        kind,
        clock,
        name: module === undefined ? name : `${name} of ${basename(module)}`,
        ...(module === undefined ? {} : { module }),
        ...(metrics === undefined ? {} : { metrics }),
      })
      this.#pools.set(module, pool)
    }
    return pool
  }
}

type TaskFunction = (...args: unknown[]) => unknown
