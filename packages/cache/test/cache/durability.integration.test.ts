import type { Cache } from '@dharma/cache'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, inject, it } from 'vitest'
import { openCaches } from './shared-cache.ts'

describeWithRedis('durability: replicated', () => {
  it('counts nothing as done that no replica has', async () => {
    const [cache] = (await openCaches(1, {
      namespace: uniqueName('cache'),
      redis: inject('redisUrl'),
      durability: 'replicated',
      timeoutMs: 100,
    })) as [Cache]
    expect(await cache.set('k', 1, { tags: ['t'] })).toEqual({ status: 'pending' })
    expect(await cache.invalidateTags(['t'])).toEqual({ status: 'pending' })
    expect(cache.peek('k')).toBeUndefined()
  })
})
