import { DharmaError } from '@dharma/core'
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
}

/**
 * What really failed: a bulk write whose connection broke before any document was judged comes as a
 * bulk write error around the network error.
 */
export function unwrapBulkError(thrown: unknown): unknown {
  if (!(thrown instanceof MongoBulkWriteError) || thrown.result.getWriteErrorCount() > 0)
    return thrown
  const response: unknown = thrown.errorResponse
  return response instanceof MongoError ? response : thrown
}

/** Wraps what the driver rejects with; anything that is not the driver's passes through. */
export function wrapMongoError(namespace: string, rejection: unknown): unknown {
  const thrown = unwrapBulkError(rejection)
  if (thrown instanceof MongoNetworkError || thrown instanceof MongoServerSelectionError) {
    return new MongoConnectionError(`MongoDB connection failed: ${thrown.message}`, {
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
