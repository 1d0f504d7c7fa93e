import { createCache } from '@dharma/cache'
import {
  campaignChanged,
  createInvalidationHandler,
  defineEvent,
  InvalidEventError,
  modelUpdated,
  UnknownEventError,
  userProfileUpdated,
} from '@dharma/cache/invalidation-handler'
import { campaignPolicy, sentimentPolicy, userProfilePolicy } from '@dharma/cache/policies'
import { createMetrics } from '@dharma/core/metrics'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { priceChanged } from './price-changed.ts'

describe('an InvalidationHandler without Redis', () => {
  it('drops what the built-in events make untrue, and nothing else', async () => {
    await using cache = createCache({ namespace: 'events' })
    await using handler = createInvalidationHandler({ service: 'shop', caches: [cache] })
    await handler.ready()
    const users = cache.for(userProfilePolicy<string>())
    const campaigns = cache.for(campaignPolicy<string>())
    const sentiments = cache.for(sentimentPolicy<string>())
    await users.set(1, 'Ada')
    await users.set(2, 'Bob')
    await campaigns.set(1, 'spring')
    await sentiments.set({ model: 'm', text: 't' }, 'good')
    expect(await handler.publish(userProfileUpdated, { userId: 1 })).toEqual({ status: 'done' })
    expect([users.peek(1), users.peek(2), campaigns.peek(1)]).toEqual([undefined, 'Bob', 'spring'])
    await handler.publish(campaignChanged, { campaignId: 1 })
    expect(campaigns.peek(1)).toBeUndefined()
    await handler.publish(modelUpdated, { model: 'm' })
    expect(sentiments.peek({ model: 'm', text: 't' })).toBeUndefined()
    expect(users.peek(2)).toBe('Bob')
  })

  it('drops keys and patterns of a service’s own events in all of its caches', async () => {
    await using first = createCache({ namespace: 'first' })
    await using second = createCache({ namespace: 'second' })
    await using handler = createInvalidationHandler({
      service: 'shop',
      caches: [first, second],
      events: [priceChanged],
    })
    for (const cache of [first, second]) {
      await cache.setMany([
        ['price:a', 1],
        ['price:b', 1],
        ['list:cheap:a', 1],
      ])
    }
    await handler.handle(JSON.stringify({ name: 'price.changed', payload: { sku: 'a' } }))
    for (const cache of [first, second]) {
      expect(cache.peek('price:a')).toBeUndefined()
      expect(cache.peek('list:cheap:a')).toBeUndefined()
      expect(cache.peek('price:b')).toBe(1)
    }
  })

  it('asks a service’s own definition of a built-in event', async () => {
    await using cache = createCache({ namespace: 'events' })
    const own = defineEvent({
      name: 'model.updated',
      schema: z.object({ model: z.string() }),
      invalidates: ({ model }) => ({ keys: [`own:${model}`] }),
    })
    await using handler = createInvalidationHandler({
      service: 's',
      caches: [cache],
      events: [own],
    })
    await cache.set('own:m', 1)
    await handler.publish(modelUpdated, { model: 'm' })
    expect(cache.peek('own:m')).toBeUndefined()
  })

  it('refuses what it cannot read, and drops nothing', async () => {
    await using cache = createCache({ namespace: 'events' })
    await using handler = createInvalidationHandler({ service: 'shop', caches: [cache] })
    await cache.set('key', 1)
    await expect(handler.publish(priceChanged, { sku: 'a' })).rejects.toThrow(UnknownEventError)
    for (const event of [
      '{',
      'null',
      '{"payload":1}',
      { name: 'model.updated', payload: { model: '' } },
    ]) {
      await expect(handler.handle(event)).rejects.toThrow(InvalidEventError)
    }
    await using broken = createInvalidationHandler({
      service: 'shop',
      caches: [cache],
      events: [priceChanged],
    })
    await expect(broken.publish(priceChanged, { sku: 'broken' })).rejects.toMatchObject({
      code: 'DHARMA_CACHE_INVALID_EVENT',
      event: 'price.changed',
      cause: expect.objectContaining({ message: 'the definition is broken' }) as unknown,
    })
    expect(cache.peek('key')).toBe(1)
  })

  it('counts, and takes nothing more once it is closed', async () => {
    const metrics = createMetrics()
    await using cache = createCache({ namespace: 'events' })
    const handler = createInvalidationHandler({ service: 'shop', caches: [cache], metrics })
    await handler.publish(modelUpdated, { model: 'm' })
    expect(handler.stats()).toMatchObject({ events: { published: 1, applied: 0 }, backlog: 0 })
    expect(await metrics.expose()).toMatch(/domain_events_total\{.*outcome="published".*\} 1/)
    expect(await handler.maintain()).toBeUndefined()
    await handler.close()
    await handler.close()
    await expect(handler.publish(modelUpdated, { model: 'm' })).rejects.toMatchObject({
      code: 'DHARMA_CLOSED',
    })
    await expect(handler.maintain()).rejects.toMatchObject({ code: 'DHARMA_CLOSED' })
  })

  it.each([
    [{ service: 'a b' }, 'service'],
    [{ stream: '' }, 'stream'],
    [{ maxBacklog: 0 }, 'maxBacklog'],
    [{ maintenance: { everyMs: 1 } }, 'maintenance.everyMs'],
  ])('refuses %j', (wrong, option) => {
    const make = (): unknown => createInvalidationHandler({ service: 's', caches: [], ...wrong })
    expect(make).toThrow(RangeError)
    expect(make).toThrow(option)
  })

  it('refuses an event without a name like one', () => {
    const { schema, invalidates } = priceChanged
    expect(() => defineEvent({ name: 'Price', schema, invalidates })).toThrow("got 'Price'")
  })
})
