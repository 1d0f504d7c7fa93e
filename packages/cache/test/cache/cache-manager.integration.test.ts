import { createCacheManager } from '@dharma/cache'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { expect, inject, it } from 'vitest'

const CACHES = { users: {}, prices: {}, own: { redis: false } } as const

describeWithRedis('CacheManager on Redis', () => {
  it('sends the commands of all caches over one connection', async () => {
    const namespace = uniqueName('manager')
    const redis = new Redis(inject('redisUrl'), { connectionName: namespace })
    const connectionsBefore = redis.listenerCount('error')
    await using manager = createCacheManager({ namespace, redis, caches: CACHES })
    await using other = createCacheManager({
      namespace,
      redis: inject('redisUrl'),
      caches: CACHES,
    })
    await Promise.all([manager.ready(), other.ready()])
    await manager.cache('users').set('k', 'user')
    await manager.cache('prices').set('k', 'price')
    await manager.cache('own').set('k', 'mine')
    expect(await other.cache('users').get('k')).toBe('user')
    expect(await other.cache('prices').get('k')).toBe('price')
    expect(await other.cache('own').get('k')).toBeUndefined()
    expect(await manager.health()).toEqual({ status: 'up', reasons: [] })
    await manager.close()
    expect(redis.status).toBe('ready')
    expect(redis.listenerCount('error')).toBe(connectionsBefore)
    redis.disconnect()
  })

  it('says which cache has lost Redis', async () => {
    const manager = createCacheManager({
      namespace: uniqueName('manager'),
      redis: 'redis://127.0.0.1:1',
      caches: { users: {} },
    })
    expect(await manager.health()).toEqual({
      status: 'degraded',
      reasons: [
        'users: Redis does not answer',
        'users: the log of invalidations was not read in time',
      ],
    })
    await expect(manager.ready(100)).rejects.toThrow('connecting cache')
    await manager.close()
  })

  it('writes and drops many keys in one pipeline, and the last of two values wins', async () => {
    const namespace = uniqueName('manager')
    const open = { namespace, redis: inject('redisUrl'), caches: { users: {} } }
    await using one = createCacheManager(open)
    await using other = createCacheManager(open)
    await Promise.all([one.ready(), other.ready()])
    const entries = Array.from({ length: 600 }, (_, index) => [`k${index}`, index] as const)
    const keys = entries.map(([key]) => key)
    expect(await one.cache('users').setMany([['k0', 'older'], ...entries])).toEqual({
      status: 'done',
    })
    expect(await other.cache('users').getMany(keys)).toEqual(new Map(entries))
    await one.cache('users').deleteMany(keys)
    expect(one.cache('users').peek('k1')).toBeUndefined()
    expect(await one.cache('users').getMany(keys)).toEqual(new Map())
  })
})
