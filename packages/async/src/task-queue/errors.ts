import { DharmaError } from '@dharma/core'

/** An input that its task's schema refuses. Nothing was enqueued. */
export class TaskInputError extends DharmaError {
  override readonly name = 'TaskInputError'
  readonly code = 'DHARMA_TASK_INPUT'
  readonly task: string
  /** Path and rule of each problem; never a value. */
  readonly problems: readonly string[]

  constructor(task: string, problems: readonly string[], options?: ErrorOptions) {
    super(`input of task ${task} is wrong: ${problems.join('; ')}`, options)
    this.task = task
    this.problems = problems
  }
}

/** An input or a result that JSON cannot hold, or that is larger than the queue allows. */
export class TaskPayloadError extends DharmaError {
  override readonly name = 'TaskPayloadError'
  readonly code = 'DHARMA_TASK_PAYLOAD'
  readonly task: string

  constructor(task: string, reason: string, options?: ErrorOptions) {
    super(`payload of task ${task} ${reason}`, options)
    this.task = task
  }
}

/** A job that failed for good. */
export class TaskFailedError extends DharmaError {
  override readonly name = 'TaskFailedError'
  readonly code = 'DHARMA_TASK_FAILED'
  readonly task: string
  readonly jobId: string
  /** The message of the error that its last run ended with. */
  readonly reason: string

  constructor(task: string, jobId: string, reason: string, options?: ErrorOptions) {
    super(`job ${jobId} of task ${task} failed: ${reason}`, options)
    this.task = task
    this.jobId = jobId
    this.reason = reason
  }
}

/** A run that did not end within its task's `timeoutMs`. */
export class TaskTimeLimitError extends DharmaError {
  override readonly name = 'TaskTimeLimitError'
  readonly code = 'DHARMA_TASK_TIME_LIMIT'
  readonly task: string
  readonly timeoutMs: number

  constructor(task: string, timeoutMs: number, options?: ErrorOptions) {
    super(`task ${task} did not end within ${timeoutMs} ms`, options)
    this.task = task
    this.timeoutMs = timeoutMs
  }
}
