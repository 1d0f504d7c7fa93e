import type { Cache } from '@dharma/cache'
import {
  startFaultProxy,
  startRedis,
  uniqueName,
  type FaultProxy,
  type TestServer,
} from '@dharma/testkit'
import { Redis, type RedisOptions } from 'ioredis'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, openCaches } from './shared-cache.ts'

let server: TestServer

beforeEach(async () => {
  server = await startRedis({ dedicated: true })
  onTestFinished(() => server.close())
})

/** A client for commands whose copy, which reads the log, goes another way. */
function clientOfTwoWays(url: string, { host, port }: FaultProxy): Redis {
  const client = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 50,
  })
  client.on('error', () => undefined)
  const duplicate = client.duplicate.bind(client)
  const elsewhere = (options?: Partial<RedisOptions>): Redis =>
    duplicate({ ...options, host, port })
  client.duplicate = elsewhere
  onTestFinished(() => client.disconnect())
  return client
}

/** Two caches; `deafen` keeps the log from the second, whose commands still get through. */
async function open() {
  const proxy = await startFaultProxy(server)
  onTestFinished(() => proxy.close())
  const admin = new Redis(server.url)
  admin.on('error', () => undefined)
  onTestFinished(() => admin.disconnect())
  const options = { namespace: uniqueName('cache'), maxStalenessMs: 400 }
  const [near] = (await openCaches(1, { ...options, redis: server.url })) as [Cache]
  const redis = clientOfTwoWays(server.url, proxy)
  const [far] = (await openCaches(1, { ...options, redis })) as [Cache]
  return { near, far, admin, deafen: () => proxy.blackHole(), namespace: options.namespace }
}

/** It serves the older value no longer than the staleness allowed, and never again. */
async function forgets(cache: Cache): Promise<void> {
  await eventually(async () => (await cache.get('k')) !== 'old', 2_000)
  for (let round = 0; round < 20; round++) expect(await cache.get('k')).not.toBe('old')
}

describe('fault: a process that can ask Redis and hears nothing', () => {
  it.each([
    ['invalidateTags', (cache: Cache) => cache.invalidateTags(['t'])],
    ['invalidatePattern', (cache: Cache) => cache.invalidatePattern('k*')],
    ['clear', (cache: Cache) => cache.clear()],
    ['set', (cache: Cache) => cache.set('k', 'new', { tags: ['t'] })],
  ] as const)('does not take from Redis what %s of another has ruled out', async (_, change) => {
    const { near, far, deafen } = await open()
    await near.set('k', 'old', { tags: ['t'] })
    await eventually(() => far.stats().invalidationsHeard === 1)
    expect(await far.get('k')).toBe('old')
    deafen()
    await change(near)
    await forgets(far)
    expect(await far.getOrLoad('k', () => 'new', { tags: ['t'] })).toBe('new')
  })

  it.each([
    [
      'a tag that it knew',
      (cache: Cache) => cache.invalidateTags(['t']),
      (namespace: string) => `${namespace}:t:t`,
    ],
    [
      'the list of patterns',
      (cache: Cache) => cache.invalidatePattern('k*'),
      (namespace: string) => `{${namespace}:inv}:g`,
    ],
  ] as const)('takes nothing for current where Redis has lost %s', async (_, change, name) => {
    const { near, far, deafen, admin, namespace } = await open()
    await near.set('k', 'old', { tags: ['t'] })
    await eventually(() => far.stats().invalidationsHeard === 1)
    expect(await far.get('k')).toBe('old')
    deafen()
    await change(near)
    await admin.del(name(namespace))
    await forgets(far)
    expect(await far.getOrLoad('k', () => 'new', { tags: ['t'] })).toBe('new')
  })

  it.each([
    ['delete', (cache: Cache) => cache.delete('k')],
    ['set', (cache: Cache) => cache.set('k', 'new', { tags: ['t'] })],
    ['clear', (cache: Cache) => cache.clear()],
  ] as const)('finds out that Redis has lost its %s before it reads', async (_, change) => {
    const { far, deafen, admin } = await open()
    await far.set('k', 'old', { tags: ['t'] })
    await admin.save()
    expect(await change(far)).toEqual({ status: 'done' })
    deafen()
    await server.kill()
    await server.restart()
    await eventually(async () => {
      return !(await far.health()).reasons.includes('Redis does not answer')
    }, 10_000)
    const untilMs = performance.now() + 500
    while (performance.now() < untilMs) expect(await far.get('k')).not.toBe('old')
    expect(await far.getOrLoad('k', () => 'new', { tags: ['t'] })).toBe('new')
  })
})
