import { DharmaError } from '@dharma/core'

/** Redis does not answer, or there is no connection to it. Reads never throw it; they fall back. */
export class RedisUnavailableError extends DharmaError {
  override readonly name = 'RedisUnavailableError'
  readonly code = 'DHARMA_CACHE_REDIS_UNAVAILABLE'

  constructor(options?: ErrorOptions) {
    super('Redis does not answer', options)
  }
}

/** A value cannot be encoded, so nothing was changed. */
export class ValueEncodingError extends DharmaError {
  override readonly name = 'ValueEncodingError'
  readonly code = 'DHARMA_CACHE_VALUE_ENCODING'
  readonly codec: string

  constructor(codec: string, options?: ErrorOptions) {
    super(`the value cannot be encoded as ${codec}`, options)
    this.codec = codec
  }
}

/** The loader failed in another process that held the key's lease; this one waited for it. */
export class RemoteLoadError extends DharmaError {
  override readonly name = 'RemoteLoadError'
  readonly code = 'DHARMA_CACHE_REMOTE_LOAD'
  /** `name` of the loader's own error. */
  readonly remoteName: string
  /** `code` of the loader's own error, if it had one. */
  readonly remoteCode: string | undefined

  constructor(remoteName: string, message: string, remoteCode?: string) {
    super(message)
    this.remoteName = remoteName
    this.remoteCode = remoteCode
  }
}

/** A value does not match its policy's schema; it was not stored. */
export class InvalidValueError extends DharmaError {
  override readonly name = 'InvalidValueError'
  readonly code = 'DHARMA_CACHE_INVALID_VALUE'
  readonly policy: string

  constructor(policy: string, options?: ErrorOptions) {
    super(`the value does not match the schema of policy '${policy}'`, options)
    this.policy = policy
  }
}
