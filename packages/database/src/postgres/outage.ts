import { AcquireTimeoutError, CreateFailedError } from '@dharma/async/connection-pool'
import { PostgresConnectionError, PostgresQueryError } from './errors.ts'

/** Nothing was done although something was sent: the operation may begin anew, also elsewhere. */
export class NothingDoneError extends Error {
  override readonly name = 'NothingDoneError'
  override readonly cause: Error

  constructor(cause: Error) {
    super(cause.message, { cause })
    this.cause = cause
  }
}

/** What a server says to a write while it is a replica. */
const READ_ONLY = '25006'
/** Also these come from the way to the server, and trying again does not help. */
const NO_AGREEMENT_CODE = /^ERR_(?:TLS|SSL)|CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)/
const NO_AGREEMENT = /SSL|SASL|password/i

/**
 * Why an operation can be tried again on this server or another, since it was not carried out:
 * no connection could be opened, or the server was a replica. `undefined` for anything else.
 */
export function reasonNotDone(thrown: unknown): Error | undefined {
  if (thrown instanceof NothingDoneError) return thrown.cause
  if (thrown instanceof CreateFailedError) {
    return thrown.cause instanceof Error ? thrown.cause : thrown
  }
  return isReadOnlyRefusal(thrown) ? thrown : undefined
}

export function isReadOnlyRefusal(thrown: unknown): thrown is PostgresQueryError {
  return thrown instanceof PostgresQueryError && thrown.sqlState === READ_ONLY
}

/** No place for a further session. */
export function isCrowded(error: Error): boolean {
  return error instanceof PostgresConnectionError && error.sqlState === '53300'
}

/** Whether the end of the time, in a further attempt, says less than why the one before it failed. */
export function isLessThan(late: unknown, before: Error): boolean {
  return late instanceof AcquireTimeoutError && isCrowded(before)
}

/**
 * Whether a failed attempt to connect speaks of a server that is away, starting or ending, rather
 * than of one that is there and says no: wrong password, no such database, no agreement on TLS, no place.
 */
export function isOutage(error: Error): boolean {
  if (!(error instanceof PostgresConnectionError)) return true
  const { sqlState, cause } = error
  if (sqlState !== undefined) return /^(?:57P|08)/.test(sqlState)
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return !NO_AGREEMENT_CODE.test(code) && !NO_AGREEMENT.test(error.message)
}

/** Whether somebody said so: the machine has no such port, or the server is starting or ending. */
export function isCertainOutage(error: Error): boolean {
  if (!(error instanceof PostgresConnectionError)) return false
  const { sqlState, cause } = error
  const isRefused = cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
  return sqlState === '57P03' || isRefused
}
