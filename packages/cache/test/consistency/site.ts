import {
  startFaultProxy,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  type FaultProxy,
  type RedisClusterTopology,
  type RedisSentinelTopology,
  type TestServer,
} from '@dharma/testkit'
import type { CacheTarget } from './cache-under-test.ts'

/** The servers of a run: the cache's Redis in one of its three forms, and the source's. */
export interface Site extends AsyncDisposable {
  readonly source: TestServer
  /** How the process with this number reaches the cache's Redis. */
  target(worker: number): CacheTarget
  /** The cache's Redis, where it is one server. */
  readonly redis: TestServer | undefined
  /** Before that server, one for each process. */
  readonly proxies: readonly FaultProxy[]
  readonly sentinel: RedisSentinelTopology | undefined
  readonly cluster: RedisClusterTopology | undefined
}

export type Topology = 'standalone' | 'sentinel' | 'cluster'

/** Starts the servers, each a process of its own, for so many processes of the checker. */
export async function startSite(topology: Topology, workers: number): Promise<Site> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await startRedis({ dedicated: true }))
  const none = { redis: undefined, sentinel: undefined, cluster: undefined }
  const proxies: FaultProxy[] = []
  let parts: Omit<Site, 'source' | 'proxies' | typeof Symbol.asyncDispose>
  switch (topology) {
    case 'standalone': {
      const redis = stack.use(await startRedis({ dedicated: true }))
      for (let worker = 0; worker < workers; worker++) {
        proxies.push(stack.use(await startFaultProxy(redis)))
      }
      const target = (worker: number): CacheTarget => ({
        mode: 'standalone',
        url: redis.urlThrough(proxies[worker] ?? redis),
      })
      parts = { ...none, redis, target }
      break
    }
    case 'sentinel': {
      const sentinel = stack.use(await startRedisSentinel({ downAfterMs: 500 }))
      const { sentinels, masterName: name } = sentinel
      const addresses = sentinels.map(({ host, port }) => ({ host, port }))
      const target = (): CacheTarget => ({ mode: 'sentinel', sentinels: addresses, name })
      parts = { ...none, sentinel, target }
      break
    }
    case 'cluster': {
      const cluster = stack.use(await startRedisCluster({ nodeTimeoutMs: 1_000 }))
      const nodes = cluster.nodes.map(({ host, port }) => ({ host, port }))
      parts = { ...none, cluster, target: () => ({ mode: 'cluster', nodes }) }
    }
  }
  const owned = stack.move()
  return { ...parts, source, proxies, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
