import type { Config } from '@dharma/core/config'
import type { Secret } from '@dharma/core'
import { createCache, type Cache } from '../cache.ts'
import type { CacheOptions } from '../cache-options.ts'
import { policyTtls } from '../policies/index.ts'
import { CacheConnectError } from './cache-connect-error.ts'
import type { CacheConfigShape } from './cache-config.ts'
import { redisAddress, redisTarget } from './redis-target.ts'

/** What a service adds to its configuration: what is code. */
export type CacheFromConfigOptions = Pick<
  CacheOptions,
  | 'clock'
  | 'codec'
  | 'metrics'
  | 'onDegraded'
  | 'onError'
  | 'policies'
  | 'random'
  | 'readableCodecs'
>

/** Errors that waiting does not mend. */
const HOPELESS = /^(?:WRONGPASS|NOAUTH|NOPERM)/

/**
 * A cache as it is configured, connected: `await createCacheFromConfig(loadConfig(cacheConfig))`. It
 * resolves when Redis has answered and the log was read, at once for a cache in memory alone or where
 * Redis is not required.
 *
 * @throws ConfigError when values are missing for the mode
 * @throws CacheConnectError when Redis is required and cannot be used, saying why; nothing is left open
 */
export async function createCacheFromConfig(
  config: Config<CacheConfigShape>,
  options: CacheFromConfigOptions = {},
): Promise<Cache> {
  let lastError: unknown
  const hopeless = Promise.withResolvers<never>()
  const onError = (error: unknown): void => {
    lastError = error
    if (error instanceof Error && HOPELESS.test(error.message)) hopeless.reject(error)
    options.onError?.(error)
  }
  // Nobody waits for it once the cache is ready.
  hopeless.promise.catch(() => undefined)
  const cache = createCache({
    ...cacheOptions(config),
    ...options,
    ...policies(config, options),
    onError,
  })
  if (!config.redis.isRequired) return cache
  try {
    await Promise.race([cache.ready(config.redis.connectTimeout), hopeless.promise])
    return cache
  } catch (error) {
    await cache.close()
    throw new CacheConnectError(redisAddress(config), { cause: lastError ?? error })
  }
}

function policies(
  config: Config<CacheConfigShape>,
  options: CacheFromConfigOptions,
): Pick<CacheOptions, 'policies'> {
  return { policies: { ...policyTtls(config.policies), ...options.policies } }
}

function cacheOptions(config: Config<CacheConfigShape>): CacheOptions {
  const { entries, memory, redis } = config
  return {
    namespace: config.namespace,
    redis: redisTarget(config),
    memory: memory.isUsed ? { maxEntries: memory.maxEntries, maxBytes: memory.maxSize } : false,
    defaults: {
      ttlMs: entries.ttl,
      staleMs: entries.stale,
      graceMs: entries.grace,
      negativeTtlMs: entries.negativeTtl,
      jitterRatio: entries.jitterRatio,
      earlyRefresh: entries.earlyRefresh,
    },
    timeoutMs: redis.timeout,
    durability: redis.durability,
    maxStalenessMs: config.maxStaleness,
    leaseMs: config.lease,
    leaseWaitMs: config.leaseWait,
    maxLogLength: config.maxLogLength,
    compressAboveBytes: entries.compressAbove,
    encryptionKeys: encryptionKeys(entries.encryptionKeys),
  }
}

function encryptionKeys(
  configured: readonly Secret<string>[] | undefined,
): CacheOptions['encryptionKeys'] {
  const [first, ...others] = (configured ?? []).map((secret) => {
    const [id = '', key = ''] = secret.reveal().split(':')
    return { id: Number(id), secret: Buffer.from(key, 'base64') }
  })
  return first === undefined ? undefined : [first, ...others]
}
