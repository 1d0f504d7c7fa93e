import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { createCache, type Cache } from '@dharma/cache'
import { describe, expect, it, onTestFinished } from 'vitest'

/** A cache whose Redis refuses every connection. */
async function openAlone(): Promise<Cache> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  const cache = createCache({ namespace: 'alone', redis: `redis://127.0.0.1:${port}` })
  onTestFinished(() => cache.close())
  return cache
}

const WAYS = [
  ['delete', (cache: Cache) => cache.delete('k')],
  ['invalidateTags', (cache: Cache) => cache.invalidateTags(['t'])],
  ['invalidatePattern', (cache: Cache) => cache.invalidatePattern('k*')],
  ['clear', (cache: Cache) => cache.clear()],
] as const

describe('without an answer from Redis', () => {
  it.each(WAYS)('%s makes this process forget what it holds', async (_, invalidate) => {
    const cache = await openAlone()
    await cache.set('k', 'old', { tags: ['t'] })
    expect(cache.peek('k')).toBe('old')
    expect(await invalidate(cache)).toEqual({ status: 'pending' })
    expect(cache.peek('k')).toBeUndefined()
    expect(await cache.getOrLoad('k', () => 'new', { tags: ['t'] })).toBe('new')
    expect(cache.peek('k')).toBe('new')
  })

  it.each(WAYS)('a load that began before %s is not kept, nor joined', async (_, invalidate) => {
    const cache = await openAlone()
    const gate = Promise.withResolvers<string>()
    const called = Promise.withResolvers<void>()
    const load = cache.getOrLoad(
      'k',
      () => {
        called.resolve()
        return gate.promise
      },
      { tags: ['t'] },
    )
    await called.promise
    expect(await invalidate(cache)).toEqual({ status: 'pending' })
    const later = cache.getOrLoad('k', () => 'new', { tags: ['t'] })
    gate.resolve('old')
    expect(await load).toBe('old')
    expect(await later).toBe('new')
    expect(cache.peek('k')).not.toBe('old')
  })

  it.each(WAYS)('a write that %s overtakes is not kept', async (_, invalidate) => {
    const cache = await openAlone()
    const writing = cache.set('k', 'old', { tags: ['t'] })
    const invalidating = invalidate(cache)
    expect([await writing, await invalidating]).toEqual([
      { status: 'pending' },
      { status: 'pending' },
    ])
    expect(cache.peek('k')).toBeUndefined()
  })

  it('says what waits, and counts it', async () => {
    const cache = await openAlone()
    await cache.delete('a')
    await cache.invalidateTags(['b', 'c'])
    expect(cache.stats().pendingInvalidations).toBe(3)
    expect((await cache.health()).reasons).toContain('invalidations wait for Redis')
  })
})
