import { RemoteLoadError, type Cache } from '@dharma/cache'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { expect, inject, it, onTestFinished } from 'vitest'
import { eventually, openCaches, sourceOf } from './shared-cache.ts'

const open = (count: number, options: object = {}): Promise<Cache[]> =>
  openCaches(count, { namespace: uniqueName('cache'), redis: inject('redisUrl'), ...options })

async function two(options?: object): Promise<[Cache, Cache]> {
  const [one, other] = await open(2, options)
  return [one as Cache, other as Cache]
}

describeWithRedis('the promise', () => {
  it('what one process writes, the other reads, with its tags', async () => {
    const [writer, reader] = await two()
    expect(await writer.set('k', { x: 1 }, { tags: ['t'] })).toEqual({ status: 'done' })
    expect(await reader.get('k')).toEqual({ x: 1 })
    await eventually(
      async () => (await reader.get('k')) !== undefined && reader.peek('k') !== undefined,
    )
  })

  it.each([
    ['set', (cache: Cache) => cache.set('user:1', 'new', { tags: ['t'] })],
    ['delete', (cache: Cache) => cache.delete('user:1')],
    ['invalidateTags', (cache: Cache) => cache.invalidateTags(['t'])],
    ['invalidatePattern by prefix', (cache: Cache) => cache.invalidatePattern('user:*')],
    ['invalidatePattern by glob', (cache: Cache) => cache.invalidatePattern('*r:[0-9]')],
    ['clear', (cache: Cache) => cache.clear()],
  ])(
    'after %s no read of this process returns the older value, and the other stops within moments',
    async (_, change) => {
      const [one, other] = await two()
      for (let round = 0; round < 20; round++) {
        await one.set('user:1', 'old', { tags: ['t'] })
        await eventually(async () => (await other.get('user:1')) === 'old')
        await change(one)
        expect(await one.get('user:1')).not.toBe('old')
        await eventually(() => other.peek('user:1') !== 'old', 500)
        expect(await other.get('user:1')).not.toBe('old')
      }
    },
  )

  it.each([
    ['its key', (cache: Cache) => cache.delete('k')],
    ['its tag', (cache: Cache) => cache.invalidateTags(['t'])],
    ['a pattern', (cache: Cache) => cache.invalidatePattern('k*')],
    ['everything', (cache: Cache) => cache.clear()],
    ['its key by a write', (cache: Cache) => cache.set('k', 'new')],
  ])(
    'a load that began before another process invalidated %s is never stored',
    async (_, invalidate) => {
      const [loading, invalidating, third] = await open(3)
      const gate = Promise.withResolvers<string>()
      const called = Promise.withResolvers<void>()
      const load = (loading as Cache).getOrLoad(
        'k',
        () => {
          called.resolve()
          return gate.promise
        },
        { tags: ['t'] },
      )
      await called.promise
      await invalidate(invalidating as Cache)
      gate.resolve('old')
      expect(await load).toBe('old')
      for (const cache of [invalidating, third, loading]) {
        await eventually(async () => (await cache?.get('k')) !== 'old', 500)
        expect(await cache?.get('k')).not.toBe('old')
      }
    },
  )

  it(
    '0 stale reads in races of loads, writes and invalidations over three processes',
    { timeout: 120_000 },
    async () => {
      const caches = await open(3)
      let truth = 0
      const stale: string[] = []
      const pick = (): Cache => caches[Math.floor(Math.random() * caches.length)] as Cache
      const change = async (): Promise<void> => {
        const cache = pick()
        truth++
        const ways = [
          () => cache.delete('k'),
          () => cache.invalidateTags(['t']),
          () => cache.invalidatePattern('k*'),
        ]
        await ways[truth % 3]?.()
        const after = truth
        const value = await cache.getOrLoad('k', () => truth, { tags: ['t'] })
        if (value < after) stale.push(`${value} < ${after}`)
      }
      const read = async (): Promise<void> => {
        await pick().getOrLoad(
          'k',
          async () => {
            const value = truth
            await new Promise((resolve) => setImmediate(resolve))
            return value
          },
          { tags: ['t'] },
        )
      }
      for (let round = 0; round < 400; round++) {
        await Promise.all([read(), change(), read(), read(), change(), read()])
      }
      expect(stale).toEqual([])
      for (const cache of caches) {
        await eventually(
          async () => (await cache.getOrLoad('k', () => truth, { tags: ['t'] })) === truth,
          500,
        )
      }
    },
  )

  it('a tag whose record Redis has evicted costs a miss, and invalidating it still works everywhere', async () => {
    const namespace = uniqueName('cache')
    const [one, other] = await two({ namespace })
    const redis = new Redis(inject('redisUrl'))
    onTestFinished(() => redis.disconnect())
    await one.set('k', 'old', { tags: ['t'] })
    await redis.del(`${namespace}:t:t`)
    expect(await other.get('k')).toBeUndefined()
    await one.set('k', 'old', { tags: ['t'] })
    expect(await other.get('k')).toBe('old')
    await redis.del(`${namespace}:t:t`)
    await one.invalidateTags(['t'])
    await eventually(() => other.peek('k') === undefined)
    expect([await one.get('k'), await other.get('k')]).toEqual([undefined, undefined])
  })

  it.each([
    ['the log', (namespace: string) => [`${namespace}:inv`]],
    ['the version counter', (namespace: string) => [`{${namespace}:inv}:v`]],
    ['the list of patterns', (namespace: string) => [`{${namespace}:inv}:g`]],
    [
      'all of them',
      (namespace: string) => [`${namespace}:inv`, `{${namespace}:inv}:v`, `{${namespace}:inv}:g`],
    ],
  ])('eviction of %s costs misses, never stale values', async (_, names) => {
    const namespace = uniqueName('cache')
    const [one, other] = await two({ namespace, maxStalenessMs: 200 })
    const redis = new Redis(inject('redisUrl'))
    onTestFinished(() => redis.disconnect())
    await one.set('a', 'old', { tags: ['t'] })
    await one.invalidatePattern('never*')
    await eventually(async () => (await other.get('a')) === 'old')
    await redis.del(...names(namespace))
    await one.invalidatePattern('a*')
    await eventually(() => other.peek('a') === undefined, 1_000)
    expect([await one.get('a'), await other.get('a')]).toEqual([undefined, undefined])
    await one.set('a', 'new', { tags: ['t'] })
    await eventually(async () => (await other.get('a')) === 'new', 1_000)
  })

  it('records trimmed from the log before a process read them flush its memory', async () => {
    const namespace = uniqueName('cache')
    const [one, other] = await two({ namespace, maxStalenessMs: 200 })
    const redis = new Redis(inject('redisUrl'))
    onTestFinished(() => redis.disconnect())
    await one.set('k', 'old')
    await eventually(() => other.stats().invalidationsHeard === 1)
    expect(await other.get('k')).toBe('old')
    await redis.multi().unlink(`${namespace}:e:{k}`).incrby(`{${namespace}:inv}:v`, 1).exec()
    await eventually(() => other.peek('k') === undefined, 1_000)
    // And not only for as long as it is not sure of anything.
    await eventually(async () => {
      return (await other.health()).status === 'up' && other.peek('k') === undefined
    })
    expect(await other.get('k')).toBeUndefined()
  })

  it('one loader call for many callers over four processes, also when it throws', async () => {
    const caches = await open(4)
    const source = sourceOf('value', 60)
    const values = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        (caches[index % 4] as Cache).getOrLoad('k', source.load),
      ),
    )
    expect([source.calls, new Set(values)]).toEqual([1, new Set(['value'])])
    let failures = 0
    const fail = async (): Promise<never> => {
      failures++
      await new Promise((resolve) => setTimeout(resolve, 60))
      throw Object.assign(new Error('boom'), { code: 'E_BOOM' })
    }
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1_000 }, (_, index) =>
        (caches[index % 4] as Cache).getOrLoad('f', fail),
      ),
    )
    expect(failures).toBe(1)
    const errors = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason as Error)
    expect(new Set(errors.map(({ message }) => message))).toEqual(new Set(['boom']))
    const remote = errors.find((error) => error instanceof RemoteLoadError)
    expect(remote).toMatchObject({ remoteName: 'Error', remoteCode: 'E_BOOM' })
    await expect(caches[2]?.getOrLoad('f', () => 'well again')).resolves.toBe('well again')
  })

  it('one loader that hangs past its timeout fails for all processes', async () => {
    const [one, other] = await two()
    let calls = 0
    const hang = (): Promise<never> => {
      calls++
      return new Promise(() => {})
    }
    const reads = [one, other].map((cache) => cache.getOrLoad('k', hang, { loadTimeoutMs: 100 }))
    const outcomes = await Promise.allSettled(reads)
    expect(calls).toBe(1)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })

  it('tags that only the loader knows work over processes', async () => {
    const [one, other] = await two()
    for (let round = 0; round < 5; round++) {
      const value = await one.getOrLoad(`k${round}`, ({ setTags }) => {
        setTags([`late:${round}`, 'late'])
        return round
      })
      expect(await other.get(`k${round}`)).toBe(value)
    }
    await one.invalidateTags(['late'])
    await eventually(() => other.peek('k0') === undefined)
    expect((await other.getMany(['k0', 'k1', 'k2', 'k3', 'k4'])).size).toBe(0)
  })
})
