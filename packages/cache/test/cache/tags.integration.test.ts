import type { Cache } from '@dharma/cache'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { expect, inject, it, onTestFinished } from 'vitest'
import { eventually, openCaches } from './shared-cache.ts'

async function open(count: number) {
  const namespace = uniqueName('tags')
  const caches = await openCaches(count, { namespace, redis: inject('redisUrl') })
  const redis = new Redis(inject('redisUrl'))
  onTestFinished(() => redis.disconnect())
  return { caches: caches as [Cache, Cache, ...Cache[]], redis, tag: `${namespace}:t:t` }
}

/** Begins a load that names its tag only when it ends, as `end` says. */
async function loadLate(cache: Cache): Promise<{ end: (value: string) => Promise<string> }> {
  const gate = Promise.withResolvers<string>()
  const called = Promise.withResolvers<void>()
  const load = cache.getOrLoad<string>('k', async ({ setTags }) => {
    called.resolve()
    const value = await gate.promise
    setTags(['t'])
    return value
  })
  await called.promise
  return {
    end(value) {
      gate.resolve(value)
      return load
    },
  }
}

describeWithRedis('tags that only the loader knows', () => {
  it.each(['is known there', 'was evicted there since'])(
    'an invalidation by another process during the load keeps it out, where the tag %s',
    async (how) => {
      const { caches, redis, tag } = await open(3)
      const [one, other, third] = caches
      const load = await loadLate(one)
      await other.invalidateTags(['t'])
      if (how === 'was evicted there since') await redis.del(tag)
      expect(await load.end('old')).toBe('old')
      for (const cache of [one, other, third]) {
        await eventually(() => cache?.peek('k') === undefined)
        expect(await cache?.get('k')).toBeUndefined()
      }
    },
  )

  it('an invalidation of another tag during the load lets it be kept', async () => {
    const { caches } = await open(2)
    const [one, other] = caches
    const load = await loadLate(one)
    await other.invalidateTags(['unrelated'])
    expect(await load.end('new')).toBe('new')
    expect([one.peek('k'), await other.get('k')]).toEqual(['new', 'new'])
  })
})

describeWithRedis('tags whose record Redis has lost', () => {
  it('an entry from before an invalidation is a miss for a process that did not hear of it', async () => {
    const { caches, redis, tag } = await open(2)
    const [one] = caches
    const namespace = one.namespace
    await one.set('k', 'old', { tags: ['t'] })
    await one.invalidateTags(['t'])
    await redis.del(tag)
    const [fresh] = (await openCaches(1, { namespace, redis: inject('redisUrl') })) as [Cache]
    // Makes the record anew, by a load, by a write and by a read.
    await fresh.getOrLoad('l', () => 1, { tags: ['t'] })
    expect(await fresh.get('k')).toBeUndefined()
    await redis.del(tag)
    const [another] = (await openCaches(1, { namespace, redis: inject('redisUrl') })) as [Cache]
    expect(await another.get('k')).toBeUndefined()
    await another.set('s', 1, { tags: ['t'] })
    expect(await another.get('k')).toBeUndefined()
  })

  it('memory forgets an entry whose tag another process invalidated, also if a read told first', async () => {
    const { caches } = await open(2)
    const [one, other] = caches
    for (let round = 0; round < 50; round++) {
      await one.set('k', 'old', { tags: ['t'] })
      await eventually(async () => (await other.get('k')) === 'old' && other.peek('k') === 'old')
      const invalidating = one.invalidateTags(['t'])
      const writing = one.set('newer', round, { tags: ['t'] })
      // It has an entry from beyond what it knows to read, and asks Redis for the tag.
      await Promise.all([invalidating, writing, other.get('newer')])
      await eventually(async () => (await other.get('newer')) === round)
      await eventually(() => other.peek('k') === undefined, 2_000)
      expect(await other.get('k')).toBeUndefined()
    }
  })
})
