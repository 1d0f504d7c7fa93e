import type { Clock } from '@dharma/core'
import { TaskCancelledError, TaskFailedError, WorkflowFailedError } from '../errors.ts'
import { within, type ResultOptions } from '../job-handle.ts'
import type { WorkflowRuns, WorkflowStatus } from './workflow-runs.ts'

/** A workflow that was started. */
export interface WorkflowHandle<Result> {
  readonly id: string
  /** @throws WorkflowFailedError, TaskCancelledError, TimeoutError, or the signal's reason */
  result(options?: ResultOptions): Promise<Result>
  /** Ends what runs, through its signal, and starts nothing more. `false` if it had ended. */
  cancel(reason?: string): Promise<boolean>
  /** `undefined` once nothing is known about it. */
  status(): Promise<WorkflowStatus | undefined>
}

/** A handle of a workflow in an engine. */
export class EngineWorkflowHandle<Result> implements WorkflowHandle<Result> {
  readonly id: string
  readonly #runs: WorkflowRuns
  readonly #clock: Clock

  constructor(id: string, runs: WorkflowRuns, clock: Clock) {
    this.id = id
    this.#runs = runs
    this.#clock = clock
  }

  async result(options: ResultOptions = {}): Promise<Result> {
    const status = await within(`workflow ${this.id}`, this.#clock, options, (signal) => {
      return this.#runs.outcome(this.id, signal)
    })
    switch (status?.state) {
      case 'completed':
        return status.result as Result
      case 'failed':
        throw new WorkflowFailedError(this.id, status.failure)
      case 'cancelled':
        throw new TaskCancelledError(this.id, status.reason)
      case 'running':
      case undefined:
        throw new TaskFailedError('workflow', this.id, 'its outcome is no longer known')
    }
  }

  cancel(reason = 'it is not needed any more'): Promise<boolean> {
    return this.#runs.cancel(this.id, reason)
  }

  status(): Promise<WorkflowStatus | undefined> {
    return this.#runs.status(this.id)
  }
}
