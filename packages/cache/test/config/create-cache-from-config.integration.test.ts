import { CacheConnectError, cacheConfig, createCacheFromConfig } from '@dharma/cache/config'
import { loadConfig } from '@dharma/core/config'
import { startRedis, uniqueName, type TestServer } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'

const load = (
  environment: Record<string, string>,
): ReturnType<typeof loadConfig<typeof cacheConfig.shape>> =>
  loadConfig(cacheConfig, {
    environment: {
      DHARMA_CACHE_NAMESPACE: uniqueName('config'),
      DHARMA_CACHE_MODE: 'standalone',
      ...environment,
    },
  })

describeWithRedis('createCacheFromConfig', () => {
  let guarded: TestServer

  beforeAll(async () => {
    guarded = await startRedis({ users: ['user default off', 'user ada on >secret ~* &* +@all'] })
  })
  afterAll(() => guarded.close())

  it('connects, encrypts what it stores, and shares it', async () => {
    const key = `7:${Buffer.alloc(32, 7).toString('base64')}`
    const config = load({
      DHARMA_CACHE_REDIS_URL: inject('redisUrl'),
      DHARMA_CACHE_REDIS_DB: '3',
      DHARMA_CACHE_ENTRIES_ENCRYPTION_KEYS: key,
    })
    await using writer = await createCacheFromConfig(config)
    await using reader = await createCacheFromConfig(config)
    await writer.set('key', 'plain text')
    expect(await reader.get('key')).toBe('plain text')
    const client = new Redis(inject('redisUrl'), { db: 3 })
    const stored = await client.getBuffer(`${config.namespace}:e:{key}`)
    client.disconnect()
    expect(stored?.length).toBeGreaterThan(0)
    expect(stored?.includes('plain text')).toBe(false)
  })

  it('says that nothing listens', async () => {
    const errors: unknown[] = []
    const making = createCacheFromConfig(
      load({
        DHARMA_CACHE_REDIS_URL: 'redis://ada:secret@127.0.0.1:1',
        DHARMA_CACHE_REDIS_CONNECT_TIMEOUT: '300ms',
      }),
      { onError: (error) => errors.push(error) },
    )
    const error = await making.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(CacheConnectError)
    expect(error).toMatchObject({ code: 'DHARMA_CACHE_CONNECT', address: '127.0.0.1:1' })
    expect(String(error)).toContain('127.0.0.1:1: nothing listens there')
    expect(String(error)).not.toContain('secret')
    expect(errors.length).toBeGreaterThan(0)
  })

  it.each([
    [
      'a wrong password',
      { DHARMA_CACHE_REDIS_PASSWORD: 'no', DHARMA_CACHE_REDIS_USERNAME: 'ada' },
      'wrong',
    ],
    ['a missing password', {}, 'asks for a password'],
  ])('says at once that there is %s', async (_, environment, reason) => {
    const making = createCacheFromConfig(
      load({
        DHARMA_CACHE_REDIS_URL: `redis://${guarded.host}:${guarded.port}`,
        DHARMA_CACHE_REDIS_CONNECT_TIMEOUT: '1m',
        ...environment,
      }),
    )
    await expect(making).rejects.toThrow(reason)
  })

  it('starts degraded where Redis is not required', async () => {
    await using cache = await createCacheFromConfig(
      load({
        DHARMA_CACHE_REDIS_URL: 'redis://127.0.0.1:1',
        DHARMA_CACHE_REDIS_IS_REQUIRED: 'false',
      }),
    )
    expect(await cache.getOrLoad('key', () => 1)).toBe(1)
    expect((await cache.health()).status).toBe('degraded')
  })

  it('says that a server does not answer, one of a cluster, or a sentinel', async () => {
    const redis = new URL(inject('redisUrl')).host
    for (const [mode, address, reason] of [
      ['cluster', redis, `${redis}: `],
      ['sentinel', '127.0.0.1:1', '127.0.0.1:1: '],
    ] as const) {
      const making = createCacheFromConfig(
        load({
          DHARMA_CACHE_MODE: mode,
          DHARMA_CACHE_REDIS_NODES: address,
          DHARMA_CACHE_REDIS_CONNECT_TIMEOUT: '500ms',
        }),
      )
      await expect(making).rejects.toThrow(reason)
    }
  })
})
