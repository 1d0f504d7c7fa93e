import { DharmaError } from '@dharma/core'

/** Which task it was, and where. */
export interface TaskFacts {
  readonly pool: string
  /** The exported name, or the function's own name. */
  readonly task: string
  /** The worker that held the task; `undefined` if none did. */
  readonly workerId?: number | undefined
}

/** How a worker ended. */
export interface ExitFacts {
  readonly exitCode: number | undefined
  /** For processes: the signal that ended it. */
  readonly signal?: string | undefined
}

/** The worker of a running task ended: by `process.exit`, a signal, or because the pool ended it. */
export class WorkerExitError extends DharmaError {
  override readonly name = 'WorkerExitError'
  readonly code = 'DHARMA_WORKER_EXIT'
  readonly pool: string
  readonly task: string
  readonly workerId: number | undefined
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  /** Whether the task had begun; if not, it was in the worker's hands too often to try again. */
  readonly wasStarted: boolean

  constructor(
    facts: TaskFacts & ExitFacts & { readonly wasStarted: boolean },
    options?: ErrorOptions,
  ) {
    const how = facts.signal === undefined ? `code ${facts.exitCode}` : `signal ${facts.signal}`
    const when = facts.wasStarted ? 'while it ran' : 'each time before it began'
    super(`worker of task ${facts.task} in ${facts.pool} ended with ${how} ${when}`, options)
    this.pool = facts.pool
    this.task = facts.task
    this.workerId = facts.workerId
    this.exitCode = facts.exitCode
    this.signal = facts.signal
    this.wasStarted = facts.wasStarted
  }
}

/** The task ran out of its worker's heap. */
export class WorkerMemoryError extends DharmaError {
  override readonly name = 'WorkerMemoryError'
  readonly code = 'DHARMA_WORKER_MEMORY'
  readonly pool: string
  readonly task: string
  readonly workerId: number | undefined
  /** The limit of the pool's options, if it set one. */
  readonly heapLimitMb: number | undefined

  constructor(
    facts: TaskFacts & { readonly heapLimitMb: number | undefined },
    options?: ErrorOptions,
  ) {
    const limit = facts.heapLimitMb === undefined ? '' : ` of ${facts.heapLimitMb} MB`
    super(`task ${facts.task} in ${facts.pool} exhausted its worker's heap${limit}`, options)
    this.pool = facts.pool
    this.task = facts.task
    this.workerId = facts.workerId
    this.heapLimitMb = facts.heapLimitMb
  }
}

/** The task ran longer than its limit. Its worker was told, and ended if it did not listen. */
export class TaskTimeoutError extends DharmaError {
  override readonly name = 'TaskTimeoutError'
  readonly code = 'DHARMA_TASK_TIMEOUT'
  readonly pool: string
  readonly task: string
  readonly workerId: number | undefined
  readonly timeoutMs: number

  constructor(facts: TaskFacts & { readonly timeoutMs: number }, options?: ErrorOptions) {
    super(`task ${facts.task} in ${facts.pool} did not end within ${facts.timeoutMs} ms`, options)
    this.pool = facts.pool
    this.task = facts.task
    this.workerId = facts.workerId
    this.timeoutMs = facts.timeoutMs
  }
}

/** Arguments or a result that cannot be cloned, such as a function or a socket. */
export class TaskPayloadError extends DharmaError {
  override readonly name = 'TaskPayloadError'
  readonly code = 'DHARMA_TASK_PAYLOAD'
  readonly pool: string
  readonly task: string
  readonly part: 'arguments' | 'result'

  constructor(
    facts: TaskFacts & { readonly part: 'arguments' | 'result' },
    options?: ErrorOptions,
  ) {
    super(`the ${facts.part} of task ${facts.task} in ${facts.pool} cannot be cloned`, options)
    this.pool = facts.pool
    this.task = facts.task
    this.part = facts.part
  }
}

/** Something that is no message of ours came out of a worker's channel; the worker was ended. */
export class WorkerChannelError extends DharmaError {
  override readonly name = 'WorkerChannelError'
  readonly code = 'DHARMA_WORKER_CHANNEL'
  readonly pool: string
  readonly task: string
  readonly workerId: number | undefined

  constructor(facts: TaskFacts, options?: ErrorOptions) {
    super(`worker of task ${facts.task} in ${facts.pool} corrupted its channel`, options)
    this.pool = facts.pool
    this.task = facts.task
    this.workerId = facts.workerId
  }
}

/** Workers end faster than it makes sense to replace them; the pool tries again after a pause. */
export class CrashLoopError extends DharmaError {
  override readonly name = 'CrashLoopError'
  readonly code = 'DHARMA_WORKER_CRASH_LOOP'
  readonly pool: string
  /** Crashes in a row that no task answers for. */
  readonly crashes: number
  readonly retryAfterMs: number

  constructor(pool: string, crashes: number, retryAfterMs: number, options?: ErrorOptions) {
    super(`${crashes} workers of ${pool} in a row ended without a task to blame`, options)
    this.pool = pool
    this.crashes = crashes
    this.retryAfterMs = retryAfterMs
  }
}

/** As many tasks wait as the pool's `maxQueue` allows. */
export class PoolQueueFullError extends DharmaError {
  override readonly name = 'PoolQueueFullError'
  readonly code = 'DHARMA_POOL_QUEUE_FULL'
  readonly pool: string
  readonly maxQueue: number

  constructor(pool: string, maxQueue: number, options?: ErrorOptions) {
    super(`${maxQueue} tasks wait in ${pool}: it takes no more`, options)
    this.pool = pool
    this.maxQueue = maxQueue
  }
}
