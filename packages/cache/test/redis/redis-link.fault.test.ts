import { startRedisSentinel, type RedisSentinelTopology } from '@dharma/testkit'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RedisLink } from '../../src/redis/redis-link.ts'

let topology: RedisSentinelTopology

beforeAll(async () => {
  topology = await startRedisSentinel({ downAfterMs: 500 })
})
afterAll(() => topology.close())

async function openLink(): Promise<RedisLink> {
  const sentinels = topology.sentinels.map(({ host, port }) => ({ host, port }))
  const link = RedisLink.open(
    { mode: 'sentinel', name: topology.masterName, sentinels },
    () => undefined,
  )
  onTestFinished(() => link.close())
  await link.whenReady(AbortSignal.timeout(10_000))
  return link
}

/** Resolves when the client says that it is in that state. */
function status(link: RedisLink, name: string): Promise<void> {
  return new Promise((resolve) => link.client.once(name, () => resolve()))
}

describe('RedisLink', () => {
  it('comes back when sentinels announce a master while it is asking them for one', async () => {
    const link = await openLink()
    for (let round = 0; round < 3; round++) {
      const ended = status(link, 'end')
      const connecting = status(link, 'connecting')
      link.reset()
      await connecting
      // What the client does itself when it hears of another master.
      const { connector } = link.client as unknown as {
        readonly connector: Pick<Redis, 'disconnect'>
      }
      connector.disconnect()
      await ended
      await link.whenReady(AbortSignal.timeout(5_000))
      expect(await link.client.ping()).toBe('PONG')
    }
  })

  it('leaves a node that is a replica, although it still answers', async () => {
    const link = await openLink()
    const before = await topology.master()
    const { stream } = link.client as unknown as {
      readonly stream: { readonly remotePort: number }
    }
    expect(stream.remotePort).toBe(before.port)
    const ready = status(link, 'close').then(() => status(link, 'ready'))
    const other = topology.nodes.find((node) => node !== before)
    await link.client.replicaof(other?.host ?? '', other?.port ?? 0)
    await expect(link.client.set('k', 1)).rejects.toThrow('READONLY')
    await topology.failover().catch(() => undefined)
    await ready
    expect((await link.client.role())[0]).toBe('master')
  })

  it('does not come back once it is closed', async () => {
    const link = await openLink()
    const ended = status(link, 'end')
    link.close()
    await ended
    const back = link.whenReady(AbortSignal.timeout(1_200))
    await expect(back).rejects.toThrow('timeout')
    expect(link.client.status).toBe('end')
  })
})
