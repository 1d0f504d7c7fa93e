import type { Cluster, ClusterNode, Redis } from 'ioredis'

/** How the cache reaches Redis: a URL, one of the three modes, or a client that the service has. */
export type RedisTarget =
  | string
  | StandaloneRedisOptions
  | SentinelRedisOptions
  | ClusterRedisOptions
  | Redis
  | Cluster

export interface RedisCredentials {
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** TLS as `node:tls` takes it; `true` for its defaults. Sentinels are spoken to in the same way. @default false */
  readonly tls?: boolean | Readonly<Record<string, unknown>> | undefined
}

export interface StandaloneRedisOptions extends RedisCredentials {
  readonly mode: 'standalone'
  /** `redis://`, `rediss://` or `unix:` URL; in place of host and port. */
  readonly url?: string | undefined
  /** @default '127.0.0.1' */
  readonly host?: string | undefined
  /** @default 6379 */
  readonly port?: number | undefined
  /** Number of the database. @default 0 */
  readonly db?: number | undefined
}

export interface SentinelRedisOptions extends RedisCredentials {
  readonly mode: 'sentinel'
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** Name under which the sentinels watch the master. */
  readonly name: string
  readonly sentinelUsername?: string | undefined
  readonly sentinelPassword?: string | undefined
  /** @default 0 */
  readonly db?: number | undefined
  /** Addresses as the sentinels say them, to addresses as this process reaches them. */
  readonly natMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>>
}

export interface ClusterRedisOptions extends RedisCredentials {
  readonly mode: 'cluster'
  /** Some nodes of the cluster, as URLs or addresses; the others are found. */
  readonly nodes: readonly (string | { readonly host: string; readonly port: number })[]
  readonly natMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>>
}

/** Whether a target is a client rather than a description of one. */
export function isRedisClient(target: RedisTarget): target is Redis | Cluster {
  return typeof target === 'object' && 'sendCommand' in target
}

/** @throws RangeError or TypeError naming what is wrong. */
export function checkRedisTarget(target: RedisTarget): void {
  if (typeof target === 'string') {
    if (!/^(?:rediss?:\/\/|unix:|\/)/.test(target)) {
      throw new RangeError('redis must be a URL that begins with redis://, rediss:// or unix:')
    }
    return
  }
  if (isRedisClient(target)) return
  switch (target.mode) {
    case 'standalone': {
      return
    }
    case 'sentinel': {
      if (target.sentinels.length === 0) throw new RangeError('redis.sentinels must not be empty')
      if (target.name === '') throw new RangeError('redis.name must not be empty')
      return
    }
    case 'cluster': {
      if (target.nodes.length === 0) throw new RangeError('redis.nodes must not be empty')
      return
    }
    default: {
      const { mode } = target as { readonly mode: unknown }
      throw new RangeError(
        `redis.mode must be 'standalone', 'sentinel' or 'cluster', got '${String(mode)}'`,
      )
    }
  }
}

/** Node addresses as ioredis takes them. */
export function clusterNodes(nodes: ClusterRedisOptions['nodes']): ClusterNode[] {
  return nodes.map((node) =>
    typeof node === 'string' ? node : { host: node.host, port: node.port },
  )
}
