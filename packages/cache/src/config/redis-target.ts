import { ConfigError, type Config, type ConfigProblem } from '@dharma/core/config'
import type { CacheOptions } from '../cache-options.ts'
import type { CacheConfigShape } from './cache-config.ts'

interface Host {
  readonly host: string
  readonly port: number
}

/**
 * Where Redis is, as `createCache` takes it; undefined for a cache in memory alone.
 * @throws ConfigError when the mode needs a value that is not configured, or cannot have one that is
 */
export function redisTarget(config: Config<CacheConfigShape>): CacheOptions['redis'] {
  const { mode, redis } = config
  checkMode(config)
  const credentials = {
    username: redis.username,
    password: redis.password?.reveal(),
    ...(redis.tls && { tls: true }),
  }
  switch (mode) {
    case 'memory': {
      return undefined
    }
    case 'standalone': {
      return { mode, ...credentials, url: urlOf(config) }
    }
    case 'sentinel': {
      return {
        mode,
        ...credentials,
        sentinels: hostsOf(config),
        name: redis.master,
        sentinelUsername: redis.sentinelUsername,
        sentinelPassword: redis.sentinelPassword?.reveal(),
        db: redis.db,
      }
    }
    case 'cluster': {
      return { mode, ...credentials, nodes: hostsOf(config) }
    }
  }
}

/** The addresses alone, for messages. */
export function redisAddress(config: Config<CacheConfigShape>): string {
  const { mode, redis } = config
  if (mode !== 'standalone') return (redis.nodes ?? []).join(', ')
  return new URL(urlOf(config)).host
}

function checkMode(config: Config<CacheConfigShape>): void {
  const { mode, redis } = config
  const problems: ConfigProblem[] = []
  const complain = (key: string, origin: string | undefined, expected: string): void => {
    const path = `cache.redis.${key}`
    const { variable = '' } = config.describe().find((entry) => entry.path === path) ?? {}
    problems.push({ path, variable, origin, expected: `${expected} in mode ${mode}` })
  }
  if (mode === 'standalone' && redis.url === undefined) {
    complain('url', undefined, 'the URL of Redis')
  }
  if (mode === 'sentinel' && redis.nodes === undefined) {
    complain('nodes', undefined, 'addresses of the sentinels')
  }
  if (mode === 'cluster' && redis.nodes === undefined) {
    complain('nodes', undefined, 'addresses of some nodes')
  }
  if (mode === 'cluster' && redis.db !== 0) complain('db', String(redis.db), '0')
  if (problems.length > 0) throw new ConfigError(problems)
}

/** With the number of the database in it, which stands nowhere else for a URL. */
function urlOf({ redis }: Config<CacheConfigShape>): string {
  const url = new URL(redis.url?.reveal() ?? '')
  if (redis.db !== 0) url.pathname = `/${redis.db}`
  return url.href
}

function hostsOf({ redis }: Config<CacheConfigShape>): Host[] {
  return (redis.nodes ?? []).map((address) => {
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon).replaceAll(/[[\]]/g, '')
    return { host, port: Number(address.slice(colon + 1)) }
  })
}
