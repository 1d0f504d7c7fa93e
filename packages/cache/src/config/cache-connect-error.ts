import { DharmaError } from '@dharma/core'

/** The cache was not made, because Redis could not be used. */
export class CacheConnectError extends DharmaError {
  override readonly name = 'CacheConnectError'
  readonly code = 'DHARMA_CACHE_CONNECT'
  /** Hosts and ports that were tried; never a user or a password. */
  readonly address: string

  constructor(address: string, options: ErrorOptions) {
    super(`no use of Redis at ${address}: ${reasonOf(options.cause)}`, options)
    this.address = address
  }
}

/** In words, because the client's own are for those who know it. */
function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? `${codeOf(cause)} ${cause.message}` : ''
  const known = REASONS.find(([sign]) => sign.test(text))
  return known?.[1] ?? 'it did not answer in time'
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : ''
}

const REASONS: readonly (readonly [sign: RegExp, reason: string])[] = [
  [/ECONNREFUSED/, 'nothing listens there (ECONNREFUSED)'],
  [/ENOTFOUND|EAI_AGAIN/, 'the host is not known (ENOTFOUND)'],
  [/WRONGPASS|invalid password/, 'user name or password are wrong (WRONGPASS)'],
  [/NOAUTH/, 'it asks for a password, and none is configured (NOAUTH)'],
  [/NOPERM/, 'the user may not use what a cache needs (NOPERM)'],
  [/All sentinels are unreachable/, 'no sentinel knows the master'],
  [/Failed to refresh slots cache/, 'no node answered as one of a cluster'],
  [/CERT|SSL|TLS|self.signed/i, 'the encrypted connection was not made; see the cause'],
]
