import { createCache, type Cache, type CacheOptions } from '@dharma/cache'
import {
  createInvalidationHandler,
  defineEvent,
  modelUpdated,
  userProfileUpdated,
  type InvalidationHandler,
  type InvalidationHandlerOptions,
} from '@dharma/cache/invalidation-handler'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { z } from 'zod'
import { priceChanged } from './price-changed.ts'

describeWithRedis('InvalidationHandler', () => {
  let client: Redis
  let stream: string
  const opened: AsyncDisposable[] = []

  const open = <T extends AsyncDisposable>(resource: T): T => {
    opened.push(resource)
    return resource
  }
  const openCache = async (options: Partial<CacheOptions> = {}): Promise<Cache> => {
    const cache = open(
      createCache({ namespace: uniqueName('ns'), redis: inject('redisUrl'), ...options }),
    )
    await cache.ready()
    return cache
  }
  const openHandler = async (
    service: string,
    caches: readonly Cache[],
    options: Partial<InvalidationHandlerOptions> = {},
  ): Promise<InvalidationHandler> => {
    const handler = open(
      createInvalidationHandler({
        service,
        caches,
        stream,
        redis: inject('redisUrl'),
        events: [priceChanged],
        blockMs: 100,
        ...options,
      }),
    )
    await handler.ready()
    return handler
  }
  /** A user's name, in a cache that depends on the user. */
  const remember = (cache: Cache, user: number): Promise<unknown> =>
    cache.set(`name:${user}`, 'Ada', { tags: [`user:${user}`] })
  const gone = (cache: Cache, user: number): Promise<void> =>
    expect.poll(() => cache.get(`name:${user}`), { timeout: 5_000 }).toBeUndefined()

  beforeEach(() => {
    client = new Redis(inject('redisUrl'))
    stream = uniqueName('stream')
  })
  afterEach(async () => {
    for (const resource of opened.splice(0).toReversed()) await resource[Symbol.asyncDispose]()
    client.disconnect()
  })

  it('drops what an event makes untrue in every service, whatever the namespace', async () => {
    const [shop, mail] = [await openCache(), await openCache()]
    const publisher = await openHandler('shop', [shop])
    const reader = await openHandler('mail', [mail])
    for (const cache of [shop, mail]) await Promise.all([remember(cache, 1), remember(cache, 2)])
    expect(await publisher.publish(userProfileUpdated, { userId: 1 })).toEqual({ status: 'done' })
    expect(shop.peek('name:1')).toBeUndefined()
    await gone(mail, 1)
    expect(await mail.get('name:2')).toBe('Ada')
    await expect.poll(() => reader.stats().events.applied).toBe(1)
    expect(publisher.stats().events).toMatchObject({ published: 1, applied: 0 })
  })

  it('applies an event once in a service of many processes', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const namespace = uniqueName('mail')
    const caches = await Promise.all([1, 2, 3].map(() => openCache({ namespace })))
    const readers = await Promise.all(caches.map((cache) => openHandler('mail', [cache])))
    for (let user = 0; user < 20; user++)
      await publisher.publish(userProfileUpdated, { userId: user })
    const applied = (): number =>
      readers.reduce((sum, reader) => sum + reader.stats().events.applied, 0)
    await expect.poll(applied).toBe(20)
  })

  it('applies an event in every process where caches are in memory alone', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const caches = [1, 2].map(() => open(createCache({ namespace: 'memory' })))
    for (const cache of caches) {
      await openHandler('mail', [cache], { delivery: 'every-process' })
      await remember(cache, 1)
    }
    await publisher.publish(userProfileUpdated, { userId: 1 })
    for (const cache of caches) await gone(cache, 1)
    expect(await client.xinfo('GROUPS', `{${stream}}`)).toHaveLength(3)
  })

  it('shares an event that many processes hear once', async () => {
    const cache = await openCache()
    const handlers = [await openHandler('shop', [cache]), await openHandler('shop', [cache])]
    const event = { name: 'model.updated', payload: { model: 'm' }, id: 'outbox-1' }
    await handlers[0]?.handle(event)
    await handlers[1]?.handle(event)
    expect(await client.xlen(`{${stream}}`)).toBe(1)
    expect(handlers[1]?.stats().events).toMatchObject({ duplicate: 1, published: 0 })
  })

  it('is heard by a service that was down', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const mail = await openCache()
    const before = await openHandler('mail', [mail])
    await before.close()
    await Promise.all([remember(mail, 1), remember(mail, 2)])
    await publisher.publish(userProfileUpdated, { userId: 1 })
    expect(await mail.get('name:1')).toBe('Ada')
    const after = await openHandler('mail', [mail])
    await gone(mail, 1)
    expect(await mail.get('name:2')).toBe('Ada')
    expect(after.stats().events).toMatchObject({ applied: 1, gap: 0 })
  })

  it('clears the caches of a service that was down for longer than the stream reaches', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const mail = await openCache()
    await (await openHandler('mail', [mail])).close()
    await remember(mail, 1)
    for (const userId of [8, 9]) await publisher.publish(userProfileUpdated, { userId })
    await client.xtrim(`{${stream}}`, 'MAXLEN', 1)
    const after = await openHandler('mail', [mail])
    await gone(mail, 1)
    expect(after.stats().events).toMatchObject({ applied: 1, gap: 1 })
    // Once: the next process of the service finds no gap any more.
    const next = await openHandler('mail', [mail])
    expect(next.stats().events.gap).toBe(0)
  })

  it('clears the caches when the stream itself is gone, or has lost its end', async () => {
    const cache = await openCache()
    const handler = await openHandler('shop', [cache])
    await handler.publish(modelUpdated, { model: 'm' })
    const gaps = handler.stats().events.gap
    await remember(cache, 1)
    await client.del(`{${stream}}`)
    await gone(cache, 1)
    await handler.publish(modelUpdated, { model: 'm' })
    await remember(cache, 2)
    await client.xsetid(`{${stream}}`, '5-0').catch(() => client.del(`{${stream}}`))
    await gone(cache, 2)
    expect(handler.stats().events.gap).toBeGreaterThanOrEqual(gaps + 2)
  })

  it('finishes what a process took and did not finish', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const mail = await openCache()
    await (await openHandler('mail', [mail])).close()
    await remember(mail, 1)
    await publisher.publish(userProfileUpdated, { userId: 1 })
    await client.xreadgroup('GROUP', 'mail', 'dead', 'COUNT', 9, 'STREAMS', `{${stream}}`, '>')
    const next = await openHandler('mail', [mail], { claimAfterMs: 50 })
    await gone(mail, 1)
    expect(next.stats().events.claimed).toBe(1)
    await expect.poll(async () => (await client.xpending(`{${stream}}`, 'mail'))[0]).toBe(0)
  })

  it('clears where what was taken and not finished has been trimmed', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const mail = await openCache()
    await (await openHandler('mail', [mail])).close()
    await remember(mail, 1)
    await publisher.publish(userProfileUpdated, { userId: 9 })
    await client.xreadgroup('GROUP', 'mail', 'dead', 'COUNT', 9, 'STREAMS', `{${stream}}`, '>')
    await client.xtrim(`{${stream}}`, 'MAXLEN', 0)
    const next = await openHandler('mail', [mail], { claimAfterMs: 50 })
    await gone(mail, 1)
    expect(next.stats().events.gap).toBeGreaterThan(0)
  })

  it('leaves an event alone that the service does not know', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const mail = await openCache()
    const reader = await openHandler('mail', [mail], { events: [] })
    await mail.set('price:a', 1)
    await publisher.publish(priceChanged, { sku: 'a' })
    await expect.poll(() => reader.stats().events.ignored).toBe(1)
    expect(await mail.get('price:a')).toBe(1)
  })

  it.each([
    ['clear', undefined],
    ['skip', 1],
  ] as const)('does as it was told where an event cannot be read: %s', async (unreadable, left) => {
    const errors: unknown[] = []
    const cache = await openCache()
    const onError = (error: unknown): number => errors.push(error)
    const reader = await openHandler('mail', [cache], { unreadable, onError })
    await cache.set('key', 1)
    const newer = defineEvent({
      name: 'model.updated',
      schema: z.object({ models: z.array(z.string()) }),
      invalidates: ({ models }) => ({ tags: models }),
    })
    const publisher = await openHandler('shop', [], { events: [newer] })
    await publisher.publish(newer, { models: ['m'] })
    await expect.poll(() => reader.stats().events.unreadable).toBe(1)
    await expect.poll(() => reader.stats().events.applied).toBe(1)
    expect(await cache.get('key')).toBe(left)
    expect(errors).toMatchObject([{ code: 'DHARMA_CACHE_INVALID_EVENT' }])
  })

  it('clears for a record that is no event at all', async () => {
    const cache = await openCache()
    const reader = await openHandler('mail', [cache])
    await cache.set('key', 1)
    await client.xadd(`{${stream}}`, '*', 'e', 'model.updated', 'd', '{')
    await expect.poll(() => reader.stats().events.applied).toBe(1)
    expect(reader.stats().events.unreadable).toBe(1)
    expect(await cache.get('key')).toBeUndefined()
  })

  it('applies an event again that a cache could not finish', async () => {
    const publisher = await openHandler('shop', [await openCache()])
    const answers = ['pending', 'done'] as const
    let calls = 0
    // Its group's first call is for the gap that a new group begins with.
    const cache = {
      namespace: 'fake',
      invalidate: () => Promise.resolve({ status: answers[calls++ === 1 ? 0 : 1] }),
    }
    const reader = open(
      createInvalidationHandler({
        service: 'mail',
        caches: [cache],
        stream,
        redis: inject('redisUrl'),
        claimAfterMs: 40,
        blockMs: 20,
      }),
    )
    await reader.ready()
    await publisher.publish(userProfileUpdated, { userId: 1 })
    await expect.poll(() => reader.stats().events.applied).toBe(1)
    expect(calls).toBe(3)
  })

  it('gives up its place when it is closed, but not what is not finished', async () => {
    const cache = await openCache()
    const handler = await openHandler('mail', [cache])
    const alone = await openHandler('mail', [cache], { delivery: 'every-process' })
    const groups = (): Promise<unknown[]> =>
      client.xinfo('GROUPS', `{${stream}}`) as Promise<unknown[]>
    expect(await groups()).toHaveLength(2)
    await alone.close()
    expect(await groups()).toHaveLength(1)
    await handler.close()
    expect(await client.xinfo('CONSUMERS', `{${stream}}`, 'mail')).toEqual([])
  })
})
