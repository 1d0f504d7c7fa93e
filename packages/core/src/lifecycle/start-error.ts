import { DharmaError } from '../errors.ts'
import { reasonOf } from '../health/reason.ts'
import type { ShutdownReport } from './shutdown-report.ts'

/** A start hook failed or ran out of time. What had been started was taken down again. */
export class StartError extends DharmaError {
  override readonly name = 'StartError'
  readonly code = 'DHARMA_START_FAILED'
  /** The start hook's name. */
  readonly hook: string
  /** How the roll back went. */
  readonly rollback: ShutdownReport

  constructor(hook: string, rollback: ShutdownReport, options: { readonly cause: unknown }) {
    super(`start of ${hook} failed: ${reasonOf(options.cause)}`, options)
    this.hook = hook
    this.rollback = rollback
  }
}
