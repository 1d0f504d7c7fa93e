import { MongoError, MongoNetworkError } from 'mongodb'
import { hasLabel, isSocketError, MongoOperationError, unwrapBulkError } from './errors.ts'

/** The server's number for a document whose key another one has. */
export const DUPLICATE_KEY = 11_000

/** Whether the connection or the primary was lost, so that another sending may succeed. */
export function isTransient(thrown: unknown): boolean {
  const error = unwrapBulkError(thrown)
  if (isSocketError(error) || error instanceof MongoNetworkError) return true
  return error instanceof MongoError && error.hasErrorLabel('RetryableWriteError')
}

/** Whether nothing was carried out, by any of the driver's own sendings. */
export function isNothingDone(thrown: unknown): boolean {
  return hasLabel(unwrapBulkError(thrown), 'NoWritesPerformed')
}

/** Whether another document has the `_id`: of a document sent again, that it was stored before. */
export function isDuplicateId(thrown: unknown): boolean {
  const refusal = thrown instanceof MongoOperationError ? thrown.cause : thrown
  if (typeof refusal !== 'object' || refusal === null) return false
  const { code, errmsg }: { code?: unknown; errmsg?: unknown } = refusal
  return code === DUPLICATE_KEY && /index: _id_/.test(String(errmsg))
}

/** Full jitter up to 100 ms, 200 ms, … 2 s. Source: Brooker, "Exponential Backoff and Jitter", AWS 2015. */
export function backoffMs(attempt: number): number {
  return Math.random() * Math.min(2_000, 50 * 2 ** attempt)
}

/** @throws RangeError */
export function checkRange(option: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new RangeError(`${option} must be a whole number from ${min} to ${max}, got ${value}`)
}
