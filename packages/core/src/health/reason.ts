import { DharmaError } from '../errors.ts'
import { redactText } from '../redact.ts'

const MAX_LENGTH = 200

/**
 * One line for people about why something failed, fit for a response body or a log: the message of
 * the nearest {@link DharmaError} in the chain of causes (those never hold secrets), otherwise the
 * error's own message or code, with credentials cut out and 200 characters at most.
 */
export function reasonOf(thrown: unknown): string {
  const spoken = nearestDharmaError(thrown) ?? thrown
  return redact(spoken instanceof Error ? describe(spoken) : wordsOf(spoken))
}

/** Text without credentials of URLs, `password=…` pairs and authorization headers; one line, 200 characters at most. */
export function redact(text: string): string {
  const line = redactText(text).replaceAll(/\s+/g, ' ').trim()
  return line.length <= MAX_LENGTH ? line : `${line.slice(0, MAX_LENGTH - 1)}…`
}

function nearestDharmaError(thrown: unknown): DharmaError | undefined {
  const seen = new Set<unknown>()
  let cause = thrown
  while (cause instanceof Error && !seen.has(cause)) {
    if (cause instanceof DharmaError) return cause
    seen.add(cause)
    cause = cause.cause
  }
  return undefined
}

/** A refused connection to a name with two addresses is an `AggregateError` without a message. */
function describe(error: Error): string {
  if (error.message !== '') return error.message
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : error.name
}

function wordsOf(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : `a thrown ${typeof thrown}`
}
