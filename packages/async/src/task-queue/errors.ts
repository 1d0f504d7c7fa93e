import { DharmaError } from '@dharma/core'
import type { FailureKind } from './queue-engine.ts'

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

/** An input or a result that JSON cannot carry whole, or that is larger than the queue allows. */
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
  /** `error`: its code threw; `expired`: its time was over; `poison`: it ended its workers' processes. */
  readonly kind: FailureKind

  constructor(
    task: string,
    jobId: string,
    reason: string,
    options?: ErrorOptions & { readonly kind?: FailureKind },
  ) {
    super(`job ${jobId} of task ${task} failed: ${reason}`, options)
    this.task = task
    this.jobId = jobId
    this.reason = reason
    this.kind = options?.kind ?? 'error'
  }
}

/** A job or a workflow that was cancelled: what its result rejects with, and its signal's reason. */
export class TaskCancelledError extends DharmaError {
  override readonly name = 'TaskCancelledError'
  readonly code = 'DHARMA_TASK_CANCELLED'
  readonly jobId: string
  readonly reason: string

  constructor(jobId: string, reason: string, options?: ErrorOptions) {
    super(`${jobId} was cancelled: ${reason}`, options)
    this.jobId = jobId
    this.reason = reason
  }
}

/** A run that did not end within its task's `timeoutMs`, or whose signal aborts at its `softTimeoutMs`. */
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

/** Some of the inputs that a chunk is made of failed; the others are done and are not run again. */
export class ChunkFailedError extends DharmaError {
  override readonly name = 'ChunkFailedError'
  readonly code = 'DHARMA_CHUNK_FAILED'
  /** Index within the chunk and message of each. */
  readonly failures: ReadonlyMap<number, string>

  constructor(failures: ReadonlyMap<number, string>, options?: ErrorOptions) {
    const [first] = failures
    super(`${failures.size} inputs failed, the first at ${first?.[0]}: ${first?.[1]}`, options)
    this.failures = failures
  }
}

/** A workflow that ended because one of its steps failed for good. */
export class WorkflowFailedError extends DharmaError {
  override readonly name = 'WorkflowFailedError'
  readonly code = 'DHARMA_WORKFLOW_FAILED'
  readonly workflowId: string
  readonly task: string
  readonly jobId: string
  readonly reason: string

  constructor(
    workflowId: string,
    step: { readonly task: string; readonly jobId: string; readonly reason: string },
    options?: ErrorOptions,
  ) {
    super(`workflow ${workflowId} failed at task ${step.task}: ${step.reason}`, options)
    this.workflowId = workflowId
    this.task = step.task
    this.jobId = step.jobId
    this.reason = step.reason
  }
}
