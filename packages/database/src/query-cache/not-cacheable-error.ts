import { DharmaError } from '@dharma/core'

/** A statement whose result must not be kept. It was not run. */
export class NotCacheableError extends DharmaError {
  override readonly name = 'NotCacheableError'
  readonly code = 'DHARMA_QUERY_NOT_CACHEABLE'
  readonly reason: string

  constructor(reason: string, options?: ErrorOptions) {
    super(`the result cannot be cached: ${reason}`, options)
    this.reason = reason
  }
}
