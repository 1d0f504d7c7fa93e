import { Cluster } from 'ioredis'
import { startRedisCluster, startRedisSentinel } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'
import { until } from '../../src/process/until.ts'

describeWithRedis('a Redis with sentinels', () => {
  it('makes a replica the master when the master is killed, and takes it back as a replica', async () => {
    await using topology = await startRedisSentinel({ downAfterMs: 500 })
    const before = await topology.master()
    expect(before).toBe(topology.nodes[0])
    await before.kill()
    const changed = async (): Promise<true | undefined> =>
      (await topology.master()) === before ? undefined : true
    expect(await until(changed, { timeoutMs: 20_000 })).toMatchObject({ met: true })
    await before.restart()
    expect(await topology.master()).not.toBe(before)
  })

  it('changes the master on demand', async () => {
    await using topology = await startRedisSentinel()
    const before = await topology.master()
    await topology.failover()
    const changed = async (): Promise<true | undefined> =>
      (await topology.master()) === before ? undefined : true
    expect(await until(changed, { timeoutMs: 20_000 })).toMatchObject({ met: true })
  })
})

describeWithRedis('a Redis Cluster', () => {
  it('serves all slots, and a replica takes over when a master is killed', async () => {
    await using topology = await startRedisCluster()
    const seeds = topology.nodes.map(({ host, port }) => ({ host, port }))
    const client = new Cluster(seeds)
    for (let index = 0; index < 50; index += 1) await client.set(`key:${index}`, String(index))
    client.disconnect()
    const before = await topology.masterOf('key:1')
    expect(topology.nodes.slice(0, 3)).toContain(before)
    await before.kill()
    const taken = async (): Promise<true | undefined> =>
      (await topology.masterOf('key:1')) === before ? undefined : true
    expect(await until(taken, { timeoutMs: 20_000 })).toMatchObject({ met: true })
    await before.restart()
    await topology.settled()
    expect(await topology.masterOf('key:1')).not.toBe(before)
  })
})
