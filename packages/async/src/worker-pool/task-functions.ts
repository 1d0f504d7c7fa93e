// oxlint-disable-next-line typescript/no-explicit-any -- the only type that every function extends.
type AnyFunction = (...args: any[]) => unknown

/** The names of a module's functions. */
export type TaskName<M> = {
  [K in keyof M]: M[K] extends AnyFunction ? K : never
}[keyof M] &
  string

/** The parameters of one of a module's functions. */
export type TaskArguments<M, K extends keyof M> = M[K] extends AnyFunction
  ? Readonly<Parameters<M[K]>>
  : never

/** What a caller gets: what the function returns, awaited. */
export type TaskResult<M, K extends keyof M> = M[K] extends AnyFunction
  ? Awaited<ReturnType<M[K]>>
  : never

/** A module's functions as {@link WorkerPool.tasks} offers them. */
export type TaskProxy<M, Options> = {
  readonly [K in TaskName<M>]: (
    args: TaskArguments<M, K>,
    options?: Options,
  ) => Promise<TaskResult<M, K>>
}
