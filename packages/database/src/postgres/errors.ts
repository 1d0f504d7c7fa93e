import { DharmaError } from '@dharma/core'

/** What PostgreSQL says of an error beside its message. */
interface ServerFacts {
  readonly code?: unknown
  readonly constraint?: unknown
  readonly table?: unknown
  readonly column?: unknown
  readonly where?: unknown
}

/** The server refused a statement. The driver's own error, which may quote values, is the `cause`. */
export class PostgresQueryError extends DharmaError {
  override readonly name: string = 'PostgresQueryError'
  readonly code = 'DHARMA_POSTGRES_QUERY'
  /** Five characters. Source: PostgreSQL manual, appendix A. */
  readonly sqlState: string
  readonly constraint: string | undefined
  readonly table: string | undefined
  readonly column: string | undefined

  constructor(message: string, sqlState: string, facts: ServerFacts, options?: ErrorOptions) {
    super(message, options)
    this.sqlState = sqlState
    this.constraint = textOf(facts.constraint)
    this.table = textOf(facts.table)
    this.column = textOf(facts.column)
  }
}

/** No connection could be made, or one was lost before the answer; whether the statement ran is not known. */
export class PostgresConnectionError extends DharmaError {
  override readonly name = 'PostgresConnectionError'
  readonly code = 'DHARMA_POSTGRES_CONNECTION'
  /** What the server said, such as `28P01` or `53300`; `undefined` where it said nothing. */
  readonly sqlState: string | undefined

  constructor(message: string, sqlState?: string, options?: ErrorOptions) {
    super(message, options)
    this.sqlState = sqlState
  }
}

/** No server for this operation answers at present; nothing was sent. `cause` is what the last attempt met. */
export class PostgresUnavailableError extends DharmaError {
  override readonly name = 'PostgresUnavailableError'
  readonly code = 'DHARMA_POSTGRES_UNAVAILABLE'
  /** Host and port, or the name of the manager where no primary is known. */
  readonly server: string
  /** When the server is tried again. */
  readonly retryAfterMs: number

  constructor(server: string, reason: string, retryAfterMs: number, options?: ErrorOptions) {
    super(`PostgreSQL ${server} is unavailable: ${reason}`, options)
    this.server = server
    this.retryAfterMs = retryAfterMs
  }
}

/** A row that COPY could not take. Nothing of the call was stored. */
export class CopyRowError extends DharmaError {
  override readonly name = 'CopyRowError'
  readonly code = 'DHARMA_POSTGRES_COPY_ROW'
  readonly table: string
  /** Position among the rows given, from 0; `undefined` where the server did not say. */
  readonly rowIndex: number | undefined
  readonly column: string | undefined

  constructor(
    table: string,
    rowIndex: number | undefined,
    column: string | undefined,
    reason: string,
    options?: ErrorOptions,
  ) {
    const at = rowIndex === undefined ? '' : ` row ${rowIndex},`
    const where = column === undefined ? '' : ` column ${column}`
    super(`copy into ${table},${at}${where}: ${reason}`.replace(/,:/, ':'), options)
    this.table = table
    this.rowIndex = rowIndex
    this.column = column
  }
}

/**
 * SQLSTATE classes after which the connection, not the statement, was at fault: 08 (connection),
 * 57P (the server ends sessions), 53300 (too many connections), 28 (authorization).
 */
const CONNECTION_STATES = /^(?:08|57P|53300|28)/

const COPY_CONTEXT = /COPY .*?, line (\d+)(?:, column ([^:\n]+))?/

/** Wraps what `pg` rejects with; anything of ours passes through. */
export function wrapPostgresError(thrown: unknown): DharmaError {
  if (thrown instanceof DharmaError) return thrown
  const state = sqlStateOf(thrown)
  if (!(thrown instanceof Error) || state === undefined || CONNECTION_STATES.test(state)) {
    return wrapConnectError(thrown)
  }
  return new PostgresQueryError(thrown.message, state, thrown as ServerFacts, { cause: thrown })
}

/** Wraps what an attempt to connect was rejected with: whatever the server said, there is no connection. */
export function wrapConnectError(thrown: unknown): PostgresConnectionError {
  if (thrown instanceof PostgresConnectionError) return thrown
  const cause =
    thrown instanceof Error ? thrown : new Error('the driver threw no error', { cause: thrown })
  const message = `PostgreSQL connection failed: ${cause.message}`
  return new PostgresConnectionError(message, sqlStateOf(cause), { cause })
}

/** A connection was lost under a statement that may not be sent twice. */
export function unclearOutcome(cause: Error | undefined): PostgresConnectionError {
  const sqlState = cause instanceof PostgresConnectionError ? cause.sqlState : undefined
  return new PostgresConnectionError(
    'PostgreSQL connection lost before the answer: whether the statement took effect is not known',
    sqlState,
    { cause },
  )
}

/** `undefined` for an error that is not the server's. */
function sqlStateOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('severity' in thrown)) return undefined
  const state = textOf((thrown as ServerFacts).code)
  return state !== undefined && /^[0-9A-Z]{5}$/.test(state) ? state : undefined
}

/** The row, from 0, and the column that the server's context `COPY t, line 12, column x` speaks of. */
export function copyPlaceOf(
  thrown: unknown,
): { readonly line: number; readonly column: string | undefined } | undefined {
  const where = thrown instanceof Error && 'where' in thrown ? thrown.where : undefined
  const match = typeof where === 'string' ? COPY_CONTEXT.exec(where) : null
  return match === null ? undefined : { line: Number(match[1]) - 1, column: match[2] }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** An operation reached its deadline. The server was asked to cancel it; whether it had an effect is not known. */
export class PostgresTimeoutError extends DharmaError {
  override readonly name = 'PostgresTimeoutError'
  readonly code = 'DHARMA_POSTGRES_TIMEOUT'
  readonly timeoutMs: number

  constructor(operation: string, timeoutMs: number, options?: ErrorOptions) {
    super(`PostgreSQL ${operation} did not end within ${timeoutMs} ms`, options)
    this.timeoutMs = timeoutMs
  }
}
