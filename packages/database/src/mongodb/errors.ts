import { DharmaError, toError } from '@dharma/core'
import {
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
} from 'mongodb'

/** The server refused an operation. The driver's own error, which may quote values, is the `cause`. */
export class MongoOperationError extends DharmaError {
  override readonly name = 'MongoOperationError'
  readonly code = 'DHARMA_MONGO_OPERATION'
  /** The server's number for the failure; 11000 is a duplicate key. */
  readonly serverCode: number | undefined
  /** `database.collection` */
  readonly namespace: string

  constructor(namespace: string, reason: string, serverCode?: number, options?: ErrorOptions) {
    super(`${namespace}: ${reason}`, options)
    this.namespace = namespace
    this.serverCode = serverCode
  }
}

/** No member that could take the operation was reached, or the connection was lost before the answer. */
export class MongoConnectionError extends DharmaError {
  override readonly name = 'MongoConnectionError'
  readonly code = 'DHARMA_MONGO_CONNECTION'
  /**
   * Positions of the operations of a bulk write of which nobody can say whether they were carried
   * out; those before them were, those after them were not.
   */
  readonly unclear: readonly number[]

  constructor(message: string, options?: ErrorOptions & { readonly unclear?: readonly number[] }) {
    super(message, options)
    this.unclear = options?.unclear ?? []
  }
}

/** Changes were missed: the server no longer has those after the place where a feed had stopped. */
export class MongoChangeGapError extends DharmaError {
  override readonly name = 'MongoChangeGapError'
  readonly code = 'DHARMA_MONGO_CHANGE_GAP'
}

/** The server ended a cursor before all was read, or lost it with its primary. */
export class MongoCursorLostError extends DharmaError {
  override readonly name = 'MongoCursorLostError'
  readonly code = 'DHARMA_MONGO_CURSOR_LOST'
  /** `database.collection` */
  readonly namespace: string
  /** Documents given out before. */
  readonly delivered: number

  constructor(namespace: string, delivered: number, options?: ErrorOptions) {
    super(`${namespace}: the cursor was lost after ${delivered} documents`, options)
    this.namespace = namespace
    this.delivered = delivered
  }
}

/** A commit was sent and not answered within the deadline: it is done, or undone, and nobody can say. */
export class MongoCommitUnclearError extends DharmaError {
  override readonly name = 'MongoCommitUnclearError'
  readonly code = 'DHARMA_MONGO_COMMIT_UNCLEAR'
}

/** Numbers of CursorNotFound, CursorKilled, and QueryPlanKilled. */
const CURSOR_LOST: ReadonlySet<number | undefined> = new Set([43, 237, 175])
const MAX_TIME_EXPIRED = 50

/** Whether the server ended the operation at its `maxTimeMS`. */
export function isMaxTimeExpired(error: unknown): boolean {
  return error instanceof MongoOperationError && error.serverCode === MAX_TIME_EXPIRED
}

export function isCursorLost(error: unknown): boolean {
  return error instanceof MongoOperationError && CURSOR_LOST.has(error.serverCode)
}

/** Whether the driver's error, or the one it became, has a label of the server's. */
export function hasLabel(error: unknown, label: string): boolean {
  if (error instanceof MongoError) return error.hasErrorLabel(label)
  return error instanceof DharmaError && error.cause instanceof MongoError
    ? error.cause.hasErrorLabel(label)
    : false
}

/**
 * What really failed: a bulk write whose connection broke before any document was judged comes as a
 * bulk write error around the network error.
 */
export function unwrapBulkError(thrown: unknown): unknown {
  if (!(thrown instanceof MongoBulkWriteError) || thrown.result.getWriteErrorCount() > 0)
    return thrown
  const response: unknown = thrown.errorResponse
  return response instanceof Error ? response : thrown
}

/** How a connection ends that was open; the system's errors of files have other codes. */
const SOCKET_ERRORS: ReadonlySet<unknown> = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
])

/**
 * Whether it is the system's own error of a socket: the driver passes it on, unwrapped and not
 * tried again, where a connection breaks while a message waits to be written to it. That message
 * did not go out whole. But the driver may have sent it before, and says nothing of it here.
 */
export function isSocketError(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && SOCKET_ERRORS.has(thrown.code)
}

/** Wraps what the driver rejects with; anything that is not the driver's passes through. */
export function wrapMongoError(namespace: string, rejection: unknown): unknown {
  const thrown = unwrapBulkError(rejection)
  if (
    isSocketError(thrown) ||
    thrown instanceof MongoNetworkError ||
    thrown instanceof MongoServerSelectionError
  ) {
    return new MongoConnectionError(`MongoDB connection failed: ${toError(thrown).message}`, {
      cause: thrown,
    })
  }
  if (thrown instanceof MongoServerError) {
    const serverCode = typeof thrown.code === 'number' ? thrown.code : undefined
    const codeName = typeof thrown['codeName'] === 'string' ? thrown['codeName'] : 'server error'
    return new MongoOperationError(
      namespace,
      `${codeName} (${serverCode ?? 'no code'})`,
      serverCode,
      {
        cause: thrown,
      },
    )
  }
  if (thrown instanceof MongoError) {
    return new MongoOperationError(namespace, thrown.message, undefined, { cause: thrown })
  }
  return thrown
}
