import { createCache } from '@dharma/cache'
import {
  policyTtlFields,
  policyTtls,
  presetTtlFields,
  userProfilePolicy,
} from '@dharma/cache/policies'
import { ConfigError, defineConfig, loadConfig } from '@dharma/core/config'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it } from 'vitest'

const definition = defineConfig('ttls-of-test', {
  ...presetTtlFields,
  price: policyTtlFields('price'),
})

describe('policyTtls', () => {
  it('gives a policy the durations of its group, and leaves the others as the policy says', async () => {
    const config = loadConfig(definition, {
      environment: {
        DHARMA_TTLS_OF_TEST_USER_PROFILE_TTL: '2s',
        DHARMA_TTLS_OF_TEST_PRICE_STALE: '1m',
      },
    })
    const policies = policyTtls(config)
    expect(policies['user-profile']).toEqual({ ttlMs: 2_000 })
    expect(policies['price']).toEqual({ staleMs: 60_000 })
    expect(policies['campaign']).toEqual({})
    const clock = new ManualClock()
    await using cache = createCache({ namespace: 'ttls', policies, clock })
    const users = cache.for(userProfilePolicy<string>({ staleMs: 0 }))
    await users.set('1', 'Ada')
    expect(users.peek('1')).toBe('Ada')
    await clock.advance(2_001)
    expect(users.peek('1')).toBeUndefined()
  })

  it('takes every duration', () => {
    const values = { price: { ttl: '1s', stale: '2s', grace: '3s', negativeTtl: '4s' } }
    expect(policyTtls(loadConfig(definition, { values, environment: {} }))['price']).toEqual({
      ttlMs: 1_000,
      staleMs: 2_000,
      graceMs: 3_000,
      negativeTtlMs: 4_000,
    })
  })

  it('refuses a TTL of nothing', () => {
    const environment = { DHARMA_TTLS_OF_TEST_PRICE_TTL: '0' }
    expect(() => loadConfig(definition, { environment })).toThrow(ConfigError)
  })
})
