export { cacheConfig, type CacheConfigShape, type CacheMode } from './cache-config.ts'
export { CacheConnectError } from './cache-connect-error.ts'
export { createCacheFromConfig, type CacheFromConfigOptions } from './create-cache-from-config.ts'
