import { createCache, type Cache } from '@dharma/cache'
import {
  createInvalidationHandler,
  userProfileUpdated,
  type InvalidationHandler,
  type InvalidationHandlerOptions,
} from '@dharma/cache/invalidation-handler'
import { startRedis, startRedisCluster, type TestServer } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'

const PATIENCE = { timeout: 15_000 }

describeWithRedis('InvalidationHandler under faults', () => {
  let server: TestServer
  let shop: Cache
  let mail: Cache
  let publisher: InvalidationHandler
  let reader: InvalidationHandler

  const open = async (
    service: string,
    cache: Cache,
    options: Partial<InvalidationHandlerOptions> = {},
  ): Promise<InvalidationHandler> => {
    const handler = createInvalidationHandler({
      service,
      caches: [cache],
      redis: server.url,
      timeoutMs: 300,
      blockMs: 200,
      claimAfterMs: 500,
      ...options,
    })
    await handler.ready()
    return handler
  }
  const remember = (cache: Cache, user: number): Promise<unknown> =>
    cache.set(`name:${user}`, 'Ada', { tags: [`user:${user}`] })

  beforeAll(async () => {
    server = await startRedis({
      dedicated: true,
      config: { appendonly: 'yes', appendfsync: 'always' },
    })
  })
  afterAll(() => server.close())
  beforeEach(async () => {
    shop = createCache({ namespace: 'shop', redis: server.url })
    mail = createCache({ namespace: 'mail', redis: server.url })
    await Promise.all([shop.ready(), mail.ready()])
    publisher = await open('shop', shop)
    reader = await open('mail', mail)
  })
  afterEach(async () => {
    await publisher.close()
    await reader.close()
    await shop.close()
    await mail.close()
  })

  it('loses no event while connections are killed', async () => {
    const client = new Redis(server.url)
    for (let user = 0; user < 60; user++) {
      await remember(mail, user)
      if (user % 10 === 0) await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await publisher.publish(userProfileUpdated, { userId: user })
    }
    client.disconnect()
    await expect.poll(() => publisher.stats().backlog, PATIENCE).toBe(0)
    for (let user = 0; user < 60; user++) {
      await expect.poll(() => mail.get(`name:${user}`), PATIENCE).toBeUndefined()
    }
    expect(publisher.stats().events.error).toBeGreaterThan(0)
  })

  it('keeps what happens while Redis is killed, and tells it afterwards', async () => {
    await remember(shop, 1)
    await remember(mail, 1)
    await server.kill()
    await expect
      .poll(async () => (await publisher.publish(userProfileUpdated, { userId: 1 })).status)
      .toBe('pending')
    expect(shop.peek('name:1')).toBeUndefined()
    expect(publisher.stats().backlog).toBeGreaterThan(0)
    await server.restart()
    await expect.poll(() => publisher.stats().backlog, PATIENCE).toBe(0)
    await expect.poll(() => mail.get('name:1'), PATIENCE).toBeUndefined()
    await expect.poll(async () => (await mail.health()).status, PATIENCE).toBe('up')
    await expect.poll(async () => (await shop.health()).status, PATIENCE).toBe('up')
  })

  it('refuses events beyond its backlog, so that the caller keeps them', async () => {
    const narrow = await open('narrow', shop, { maxBacklog: 1 })
    await server.stop()
    try {
      await narrow.handle({ name: 'user-profile.updated', payload: { userId: 1 }, id: 'a' })
      await expect(narrow.publish(userProfileUpdated, { userId: 2 })).rejects.toMatchObject({
        code: 'DHARMA_CACHE_EVENT_BACKLOG_FULL',
        maxBacklog: 1,
      })
    } finally {
      await server.cont()
    }
    await expect.poll(() => narrow.stats().backlog, PATIENCE).toBe(0)
    await narrow.close()
  })

  it('closes while Redis is away', async () => {
    const handler = await open('closing', shop)
    await server.stop()
    await handler.close()
    await server.cont()
    expect(handler.stats().events.error).toBeGreaterThan(0)
  })

  it('works on a cluster', async () => {
    await using cluster = await startRedisCluster()
    const redis = {
      mode: 'cluster',
      nodes: cluster.nodes.map(({ host, port }) => ({ host, port })),
    } as const
    await using cache = createCache({ namespace: 'clustered', redis })
    await cache.ready()
    await using other = await open('shop', shop, { redis })
    await using handler = await open('mail', cache, {
      redis,
      maintenance: { sampleSize: 10_000 },
    })
    for (let user = 0; user < 20; user++) await remember(cache, user)
    for (let user = 0; user < 10; user++) await other.publish(userProfileUpdated, { userId: user })
    await expect.poll(() => handler.stats().events.applied, PATIENCE).toBe(10)
    const names = await cache.getMany(Array.from({ length: 20 }, (_, user) => `name:${user}`))
    expect(names.size).toBe(10)
    await expect.poll(async () => (await handler.maintain())?.entries, PATIENCE).toBe(10)
  })
})
