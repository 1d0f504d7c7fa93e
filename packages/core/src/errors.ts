/**
 * The root of every error that a caller can act on: a stable `code`, the facts as fields, and the
 * client library's own error as `cause`. A message never holds a secret or a literal of a query.
 */
export abstract class DharmaError extends Error {
  /** Stable over releases, `DHARMA_` and upper case: what a program compares. */
  abstract readonly code: string
}

/** An operation did not end within its limit. Whether it still had an effect is not known. */
export class TimeoutError extends DharmaError {
  override readonly name = 'TimeoutError'
  readonly code = 'DHARMA_TIMEOUT'
  /** What was waited for, in words. */
  readonly operation: string
  readonly timeoutMs: number

  constructor(operation: string, timeoutMs: number, options?: ErrorOptions) {
    super(`${operation} did not end within ${timeoutMs} ms`, options)
    this.operation = operation
    this.timeoutMs = timeoutMs
  }
}

/** The component was closed, or is closing, and takes no new work. */
export class ClosedError extends DharmaError {
  override readonly name = 'ClosedError'
  readonly code = 'DHARMA_CLOSED'
  /** The component, as its owner named it. */
  readonly component: string

  constructor(component: string, options?: ErrorOptions) {
    super(`${component} is closed`, options)
    this.component = component
  }
}

/**
 * Any thrown value as an `Error`: errors as they are, anything else wrapped with the value as
 * `cause`, so that code which only reports never has to ask.
 */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  return new Error(`a non-error was thrown: ${describeThrown(thrown)}`, { cause: thrown })
}

function describeThrown(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown
  try {
    return JSON.stringify(thrown) ?? typeof thrown
  } catch {
    return typeof thrown
  }
}
