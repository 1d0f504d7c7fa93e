import type { Cache } from '@dharma/cache'
import { startRedis, uniqueName, type TestServer } from '@dharma/testkit'
import { Redis } from 'ioredis'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, openCaches } from './shared-cache.ts'

let server: TestServer

beforeEach(async () => {
  server = await startRedis({ dedicated: true })
  onTestFinished(() => server.close())
})

/** What Redis holds now is what a later crash leaves of it, as a failover leaves what a replica had. */
async function remember(): Promise<void> {
  const redis = new Redis(server.url)
  await redis.save()
  redis.disconnect()
}

async function crash(): Promise<void> {
  await server.kill()
  await server.restart()
}

/** Reads in every way, again and again, until the cache is well; none may find the older value. */
async function neverOld(caches: readonly Cache[]): Promise<void> {
  await eventually(async () => {
    for (const cache of caches) {
      expect(cache.peek('k')).not.toBe('old')
      expect(await cache.get('k')).not.toBe('old')
      expect((await cache.getMany(['k'])).get('k')).not.toBe('old')
    }
    const healths = await Promise.all(caches.map((cache) => cache.health()))
    return healths.every(({ status }) => status === 'up')
  }, 10_000)
  for (const cache of caches) expect(await cache.getOrLoad('k', () => 'new')).toBe('new')
}

const WAYS = [
  ['delete', (cache: Cache) => cache.delete('k')],
  ['invalidateTags', (cache: Cache) => cache.invalidateTags(['t'])],
  ['invalidatePattern', (cache: Cache) => cache.invalidatePattern('k*')],
  ['clear', (cache: Cache) => cache.clear()],
  ['set', (cache: Cache) => cache.set('k', 'new', { tags: ['t'] })],
] as const

describe('fault: Redis goes back in time', () => {
  it.each(WAYS)('a lost %s is told again before anything is read', async (_, change) => {
    const caches = await openCaches(2, { namespace: uniqueName('cache'), redis: server.url })
    const [one, other] = caches as [Cache, Cache]
    await one.set('k', 'old', { tags: ['t'] })
    expect(await other.get('k')).toBe('old')
    for (let round = 0; round < 3; round++) {
      await remember()
      expect(await change(one)).toEqual({ status: 'done' })
      await eventually(() => other.peek('k') === undefined)
      await crash()
      await neverOld(caches)
      await one.set('k', 'old', { tags: ['t'] })
      await eventually(async () => (await other.get('k')) === 'old')
    }
  })

  it.each(WAYS)(
    'a lost %s is told again by one who heard of it, its maker being gone',
    async (_, change) => {
      const namespace = uniqueName('cache')
      const [other] = (await openCaches(1, { namespace, redis: server.url })) as [Cache]
      const [maker] = (await openCaches(1, { namespace, redis: server.url })) as [Cache]
      await maker.set('k', 'old', { tags: ['t'] })
      expect(await other.get('k')).toBe('old')
      await remember()
      await change(maker)
      await eventually(() => other.peek('k') === undefined)
      await maker.close()
      await crash()
      await neverOld([other])
    },
  )

  it('a lost version counter never numbers below what processes know', async () => {
    const namespace = uniqueName('cache')
    const [one, other] = (await openCaches(2, { namespace, redis: server.url })) as [Cache, Cache]
    await one.set('k', 'old', { tags: ['t'] })
    await remember()
    await one.invalidateTags(['t'])
    await one.set('k', 'newer', { tags: ['t'] })
    expect(await other.get('k')).toBe('newer')
    await crash()
    await eventually(async () => (await one.health()).status === 'up', 10_000)
    await eventually(async () => (await other.health()).status === 'up', 10_000)
    // What both tell again may delete what is set meanwhile.
    await eventually(async () => {
      const { status } = await one.set('k', 'newest', { tags: ['t'] })
      return status === 'done' && (await other.get('k')) === 'newest'
    })
  })
})
