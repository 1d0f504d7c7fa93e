import type { Cache } from '@dharma/cache'
import { startRedis, uniqueName, type TestServer } from '@dharma/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, openCaches } from './shared-cache.ts'

let redis: TestServer

beforeAll(async () => {
  redis = await startRedis({ config: { 'maxmemory-policy': 'allkeys-random' } })
})
afterAll(() => redis.close())

/** Lets Redis evict until one of the names is gone and the other still there; makes `again` until then. */
async function evict(gone: string, kept: string, again: () => Promise<void>): Promise<void> {
  const admin = new Redis(redis.url)
  onTestFinished(() => admin.disconnect())
  for (let round = 0; round < 500; round++) {
    await again()
    const used = /used_memory:(\d+)/u.exec(await admin.info('memory'))?.[1]
    await admin.config('SET', 'maxmemory', String(Number(used) - 200))
    await admin.set('filler', 'x'.repeat(64)).catch(() => undefined)
    await admin.config('SET', 'maxmemory', '0')
    const [isGone, isKept] = [(await admin.exists(gone)) === 0, (await admin.exists(kept)) === 1]
    if (isGone && isKept) return
  }
  throw new Error(`${gone} was never evicted alone`)
}

describe('fault: tag metadata evicted by maxmemory', () => {
  it('an invalidated entry does not come back to life: it is a miss', async () => {
    const namespace = uniqueName('cache')
    const [one] = (await openCaches(1, { namespace, redis: redis.url })) as [Cache]
    const names = [`${namespace}:t:t`, `${namespace}:e:{k}`] as const
    await evict(...names, async () => {
      await eventually(async () => (await one.set('k', 'old', { tags: ['t'] })).status === 'done')
      await eventually(async () => (await one.invalidateTags(['t'])).status === 'done')
    })
    // A process that has not heard of the invalidation, and asks Redis for the tag.
    const [fresh] = (await openCaches(1, { namespace, redis: redis.url })) as [Cache]
    for (const cache of [fresh, one]) {
      expect(await cache.get('k')).toBeUndefined()
      expect(await cache.getOrLoad('other', () => 1, { tags: ['t'] })).toBe(1)
      expect(await cache.get('k')).toBeUndefined()
    }
    expect(await fresh.getOrLoad('k', () => 'new', { tags: ['t'] })).toBe('new')
  })

  it('an entry whose tag is gone is a miss as well, and the tag works again', async () => {
    const namespace = uniqueName('cache')
    const [one] = (await openCaches(1, { namespace, redis: redis.url })) as [Cache]
    await evict(`${namespace}:t:t`, `${namespace}:e:{k}`, async () => {
      await eventually(async () => (await one.set('k', 'old', { tags: ['t'] })).status === 'done')
    })
    const [fresh] = (await openCaches(1, { namespace, redis: redis.url })) as [Cache]
    expect(await fresh.get('k')).toBeUndefined()
    await fresh.set('k', 'new', { tags: ['t'] })
    await eventually(async () => (await one.get('k')) === 'new')
    await one.invalidateTags(['t'])
    await eventually(() => fresh.peek('k') === undefined)
    expect([await one.get('k'), await fresh.get('k')]).toEqual([undefined, undefined])
  })
})
