import { createCache, type Cache } from '@dharma/cache'
import {
  createInvalidationHandler,
  modelUpdated,
  type InvalidationHandler,
  type InvalidationHandlerOptions,
} from '@dharma/cache/invalidation-handler'
import { startRedis, uniqueName, type TestServer } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'

describeWithRedis('the maintenance', () => {
  let server: TestServer
  let client: Redis
  let cache: Cache
  let handler: InvalidationHandler
  let stream: string

  const open = async (
    options: Partial<InvalidationHandlerOptions> = {},
  ): Promise<InvalidationHandler> => {
    const opened = createInvalidationHandler({
      service: 'shop',
      caches: [cache],
      redis: server.url,
      stream,
      blockMs: 50,
      maintenance: { sampleSize: 10_000, goneAfterMs: 600_000 },
      ...options,
    })
    await opened.ready()
    return opened
  }

  beforeAll(async () => {
    server = await startRedis({ dedicated: true })
    client = new Redis(server.url)
  })
  afterAll(async () => {
    client.disconnect()
    await server.close()
  })
  beforeEach(async () => {
    await client.flushall()
    stream = uniqueName('stream')
    cache = createCache({ namespace: 'kept', redis: server.url })
    await cache.ready()
    handler = await open()
  })
  afterEach(async () => {
    await handler.close()
    await cache.close()
  })

  it('removes events that every service is done with, and no other', async () => {
    await using mail = await open({ service: 'mail' })
    for (let index = 0; index < 5; index++) await handler.publish(modelUpdated, { model: 'm' })
    await expect.poll(async () => (await client.xpending(`{${stream}}`, 'mail'))[0]).toBe(0)
    await expect.poll(() => mail.stats().events.applied).toBe(5)
    // The publisher's own group must have passed them, too.
    await expect.poll(async () => (await handler.maintain())?.trimmedEvents).not.toBe(undefined)
    await expect
      .poll(async () => {
        await handler.maintain()
        return client.xlen(`{${stream}}`)
      })
      .toBe(0)
    expect(handler.stats().events.gap).toBe(1)
    await handler.publish(modelUpdated, { model: 'm' })
    await expect.poll(() => mail.stats().events.applied).toBe(6)
    await mail.close()
    await handler.publish(modelUpdated, { model: 'm' })
    await handler.maintain()
    expect(await client.xlen(`{${stream}}`)).toBe(1)
  })

  it('removes entries that a tag, a pattern or a clear has made untrue, and no other', async () => {
    await cache.setMany(
      [
        ['by-tag', 1],
        ['current', 1],
      ],
      { tags: ['old'] },
    )
    await cache.set('by:pattern', 1)
    await cache.set('#hashed', 1)
    await cache.invalidateTags(['old'])
    await cache.set('current', 1, { tags: ['old'] })
    await cache.invalidatePattern('by:*')
    expect(await client.exists('kept:e:{by-tag}', 'kept:e:{by:pattern}')).toBe(2)
    const report = await handler.maintain()
    expect(report).toMatchObject({ entries: 4, orphans: 2, tags: 1, unusedTags: 0 })
    expect(await client.exists('kept:e:{by-tag}', 'kept:e:{by:pattern}')).toBe(0)
    expect(await cache.get('current')).toBe(1)
    await cache.clear()
    expect((await handler.maintain())?.orphans).toBe(2)
    expect(handler.stats().maintenance?.entries).toBe(2)
  })

  it('counts an entry whose tag record is gone as an orphan', async () => {
    await cache.set('key', 1, { tags: ['t'] })
    await client.del('kept:t:t')
    expect((await handler.maintain())?.orphans).toBe(1)
  })

  it('gives keys a TTL that have none, and leaves what is not its own alone', async () => {
    await cache.set('key', 1, { tags: ['t'] })
    await client.persist('kept:t:t')
    await client.persist('kept:e:{key}')
    await client.mset('other:t:t', '1', 'other:e:{key}', '1', 'kept:e:{foreign}', 'x'.repeat(50))
    await client.set('kept:e:{long}', Buffer.alloc(5_000, 0xff), 'EX', 60)
    const report = await handler.maintain()
    expect(report).toMatchObject({ entries: 1, orphans: 0, tags: 1, withoutTtl: 3 })
    expect(await client.pttl('kept:t:t')).toBeGreaterThan(0)
    expect(await client.pttl('other:t:t')).toBe(-1)
  })

  it('removes tag records that nobody has used for long', async () => {
    await cache.invalidateTags(['t'])
    await handler.close()
    handler = await open({ maintenance: { sampleSize: 10_000, unusedTagMs: 1_000 } })
    await expect
      .poll(async () => (await handler.maintain())?.unusedTags, { timeout: 5_000, interval: 200 })
      .toBe(1)
    expect(await client.exists('kept:t:t')).toBe(0)
    await client.config('SET', 'maxmemory-policy', 'allkeys-lfu')
    await cache.invalidateTags(['u'])
    expect(await handler.maintain()).toMatchObject({ tags: 1, unusedTags: 0 })
    await client.config('SET', 'maxmemory-policy', 'noeviction')
  })

  it('gives up the places of processes that are gone, but no unfinished event', async () => {
    const alone = await open({ delivery: 'every-process' })
    await client.xgroup('CREATECONSUMER', `{${stream}}`, 'shop', 'gone')
    await client.xgroup('CREATE', `{${stream}}`, 'shop/gone', '$')
    await handler.close()
    handler = await open({ maintenance: { goneAfterMs: 1_000 }, blockMs: 20 })
    await expect
      .poll(
        async () => {
          await handler.maintain()
          return client.xinfo('CONSUMERS', `{${stream}}`, 'shop')
        },
        { timeout: 5_000 },
      )
      .toHaveLength(1)
    expect(await client.xinfo('GROUPS', `{${stream}}`)).toHaveLength(2)
    await alone.close()
  })

  it('runs by itself, in one process at a time, and reports what goes wrong', async () => {
    const errors: unknown[] = []
    await handler.close()
    handler = await open({
      maintenance: { everyMs: 100 },
      onError: (error) => errors.push(error),
    })
    await expect.poll(() => handler.stats().maintenance).toBeDefined()
    await client.del(`{${stream}}`)
    await client.set(`{${stream}}`, 'not a stream')
    await expect.poll(() => errors.length, { timeout: 5_000 }).toBeGreaterThan(2)
    await client.del(`{${stream}}`)
  })

  it('leaves a stream alone that is not there', async () => {
    await handler.close()
    handler = await open({ maintenance: false })
    expect(await handler.maintain()).toBeUndefined()
  })
})
