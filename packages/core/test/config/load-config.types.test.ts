import type { Secret } from '@dharma/core'
import {
  boolean,
  bytes,
  defineConfig,
  duration,
  integer,
  list,
  loadConfig,
  loadConfigs,
  oneOf,
  schema,
  secret,
  secretSchema,
  secretUrl,
  string,
  url,
  type Config,
} from '@dharma/core/config'
import { describe, expectTypeOf, test } from 'vitest'
import { z } from 'zod'

const cacheConfig = defineConfig('types-cache', {
  redis: {
    mode: oneOf(['standalone', 'sentinel', 'cluster'], 'standalone'),
    url: secretUrl('redis://127.0.0.1:6379'),
  },
  ttl: duration('5m'),
  maxBytes: bytes('64mb', { min: '1mb' }),
})

const wideConfig = defineConfig('types-wide', {
  name: string({ optional: true, description: 'A name' }),
  required: string({ minLength: 1 }),
  bare: string(),
  level: oneOf(['info', 'debug'], { optional: true }),
  requiredLevel: oneOf(['info', 'debug']),
  hosts: list(string(), []),
  ports: list(integer(), { optional: true }),
  keys: list(secret(), { minLength: 1 }),
  isOn: boolean({ default: true }),
  key: secret({ optional: true }),
  home: url(),
  limits: schema(z.object({ perSecond: z.number() }), { expected: 'limits', format: 'json' }),
  login: secretSchema(z.object({ user: z.string() }), { expected: 'a login', optional: true }),
})

describe('types', () => {
  test('a loaded config has the types of its fields, read-only', () => {
    const config = loadConfig(cacheConfig, { environment: {} })
    expectTypeOf(config.redis.mode).toEqualTypeOf<'standalone' | 'sentinel' | 'cluster'>()
    expectTypeOf(config.redis.url).toEqualTypeOf<Secret<string>>()
    expectTypeOf(config.ttl).toEqualTypeOf<number>()
    expectTypeOf(config.maxBytes).toEqualTypeOf<number>()
    // @ts-expect-error a config is read-only
    expectTypeOf(() => (config.ttl = 1)).toBeFunction()
  })

  test('optional fields may be undefined, all others not', () => {
    type Wide = Config<(typeof wideConfig)['shape']>
    expectTypeOf<Wide['name']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<Wide['required']>().toEqualTypeOf<string>()
    expectTypeOf<Wide['bare']>().toEqualTypeOf<string>()
    expectTypeOf<Wide['level']>().toEqualTypeOf<'info' | 'debug' | undefined>()
    expectTypeOf<Wide['requiredLevel']>().toEqualTypeOf<'info' | 'debug'>()
    expectTypeOf<Wide['hosts']>().toEqualTypeOf<readonly string[]>()
    expectTypeOf<Wide['ports']>().toEqualTypeOf<readonly number[] | undefined>()
    expectTypeOf<Wide['keys']>().toEqualTypeOf<readonly Secret<string>[]>()
    expectTypeOf<Wide['isOn']>().toEqualTypeOf<boolean>()
    expectTypeOf<Wide['key']>().toEqualTypeOf<Secret<string> | undefined>()
    expectTypeOf<Wide['home']>().toEqualTypeOf<string>()
    expectTypeOf<Wide['limits']>().toEqualTypeOf<{ perSecond: number }>()
    expectTypeOf<Wide['login']>().toEqualTypeOf<Secret<{ user: string }> | undefined>()
  })

  test('several configs are loaded as a tuple', () => {
    const [cache, wide] = loadConfigs([cacheConfig, wideConfig], {
      environment: {},
      values: {
        'types-cache': { redis: { mode: 'cluster' } },
        'types-wide': {
          required: 'a',
          bare: 'b',
          requiredLevel: 'info',
          keys: ['k'],
          home: 'https://example.org',
          limits: { perSecond: 1 },
        },
      },
    })
    expectTypeOf(cache.ttl).toEqualTypeOf<number>()
    expectTypeOf(wide.required).toEqualTypeOf<string>()
  })

  test('defaults and values from code are checked against the field', () => {
    // @ts-expect-error no such mode
    expectTypeOf(() => oneOf(['a', 'b'], 'c')).toBeFunction()
    // @ts-expect-error not a number
    expectTypeOf(() => integer('1')).toBeFunction()
    // @ts-expect-error no such option
    expectTypeOf(() => integer({ min: 0, minimum: 1 })).toBeFunction()
    // @ts-expect-error no such key
    expectTypeOf(() => loadConfig(cacheConfig, { values: { ttll: 1 } })).toBeFunction()
    // @ts-expect-error not a duration
    expectTypeOf(() => loadConfig(cacheConfig, { values: { ttl: true } })).toBeFunction()
    expectTypeOf(() => loadConfig(cacheConfig, { values: { ttl: '1m' } })).toBeFunction()
  })
})
