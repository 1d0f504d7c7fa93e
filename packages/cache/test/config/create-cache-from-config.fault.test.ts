import { cacheConfig, createCacheFromConfig } from '@dharma/cache/config'
import { loadConfig } from '@dharma/core/config'
import { startRedisCluster, startRedisSentinel, type TestServer } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'

/** What one cache reads of what another wrote, both made from the same configuration. */
const shared = async (mode: string, nodes: readonly TestServer[], extra = {}): Promise<unknown> => {
  const config = loadConfig(cacheConfig, {
    environment: {
      DHARMA_CACHE_NAMESPACE: 'modes',
      DHARMA_CACHE_MODE: mode,
      DHARMA_CACHE_REDIS_NODES: nodes.map(({ host, port }) => `${host}:${port}`).join(','),
      ...extra,
    },
  })
  await using writer = await createCacheFromConfig(config)
  await using reader = await createCacheFromConfig(config)
  await writer.set('key', 'value')
  return await reader.get('key')
}

describeWithRedis('createCacheFromConfig', () => {
  it('finds the master by sentinels', async () => {
    await using topology = await startRedisSentinel()
    const extra = { DHARMA_CACHE_REDIS_MASTER: topology.masterName }
    expect(await shared('sentinel', topology.sentinels, extra)).toBe('value')
  })

  it('finds the nodes of a cluster', async () => {
    await using topology = await startRedisCluster()
    expect(await shared('cluster', topology.nodes.slice(0, 2))).toBe('value')
  })
})
