import { CacheConnectError, cacheConfig, createCacheFromConfig } from '@dharma/cache/config'
import { campaignPolicy } from '@dharma/cache/policies'
import { ConfigError, generateMarkdownTable, loadConfig } from '@dharma/core/config'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it } from 'vitest'

const load = (
  environment: Record<string, string>,
): ReturnType<typeof loadConfig<typeof cacheConfig.shape>> =>
  loadConfig(cacheConfig, { environment: { DHARMA_CACHE_NAMESPACE: 'config', ...environment } })

describe('cacheConfig', () => {
  it('needs nothing but a namespace', async () => {
    expect(() => loadConfig(cacheConfig, { environment: {} })).toThrow('DHARMA_CACHE_NAMESPACE')
    await using cache = await createCacheFromConfig(load({}))
    await cache.set('key', 1)
    expect(cache.peek('key')).toBe(1)
    expect(cache.namespace).toBe('config')
  })

  it('shows no secret', () => {
    const config = load({
      DHARMA_CACHE_REDIS_URL: 'redis://ada:secret@host:1',
      DHARMA_CACHE_REDIS_PASSWORD: 'secret',
      DHARMA_CACHE_ENTRIES_ENCRYPTION_KEYS: `1:${Buffer.alloc(32, 'secret').toString('base64')}`,
    })
    const shown = JSON.stringify([config, config.describe()])
    expect(shown).not.toContain('secret')
    expect(shown).not.toContain(Buffer.from('secret').toString('base64'))
  })

  it('describes every variable', () => {
    const table = generateMarkdownTable([cacheConfig])
    for (const { variable, field } of cacheConfig.leaves) {
      expect(table).toContain(variable)
      expect(field.description).toBeDefined()
    }
  })

  it('configures entries and policies; what code says of a policy goes before', async () => {
    const clock = new ManualClock()
    const config = load({
      DHARMA_CACHE_ENTRIES_TTL: '1s',
      DHARMA_CACHE_ENTRIES_JITTER_RATIO: '0',
      DHARMA_CACHE_POLICIES_CAMPAIGN_TTL: '2s',
      DHARMA_CACHE_POLICIES_CAMPAIGN_STALE: '0',
    })
    await using cache = await createCacheFromConfig(config, { clock })
    await using other = await createCacheFromConfig(config, {
      clock,
      policies: { campaign: { ttlMs: 10_000, staleMs: 0 } },
    })
    const campaigns = cache.for(campaignPolicy<number>())
    const otherCampaigns = other.for(campaignPolicy<number>())
    await cache.set('plain', 1)
    await campaigns.set('c', 1)
    await otherCampaigns.set('c', 1)
    await clock.advance(1_001)
    expect(cache.peek('plain')).toBeUndefined()
    expect(campaigns.peek('c')).toBe(1)
    await clock.advance(1_000)
    expect(campaigns.peek('c')).toBeUndefined()
    expect(otherCampaigns.peek('c')).toBe(1)
  })

  it('can do without memory', async () => {
    await using cache = await createCacheFromConfig(load({ DHARMA_CACHE_MEMORY_IS_USED: 'false' }))
    await cache.set('key', 1)
    expect(cache.peek('key')).toBeUndefined()
  })

  it.each([
    ['standalone', {}, 'DHARMA_CACHE_REDIS_URL'],
    ['sentinel', {}, 'DHARMA_CACHE_REDIS_NODES'],
    ['cluster', { DHARMA_CACHE_REDIS_DB: '1' }, 'DHARMA_CACHE_REDIS_DB'],
  ])('names what the mode %s needs', async (mode, environment, variable) => {
    const making = createCacheFromConfig(load({ DHARMA_CACHE_MODE: mode, ...environment }))
    await expect(making).rejects.toThrow(ConfigError)
    await expect(making).rejects.toThrow(variable)
    await expect(making).rejects.toThrow(`in mode ${mode}`)
  })

  it.each([
    [new Error('connect ECONNREFUSED'), 'nothing listens there'],
    [Object.assign(new Error('x'), { code: 'ENOTFOUND' }), 'the host is not known'],
    [new Error('something else'), 'it did not answer in time'],
    ['no error', 'it did not answer in time'],
  ])('says in words why Redis is of no use: %s', (cause, reason) => {
    const { message } = new CacheConnectError('host:1', { cause })
    expect(message).toContain(`no use of Redis at host:1: ${reason}`)
  })
})
