import {
  boolean,
  defineConfig,
  duration,
  integer,
  list,
  loadConfig,
  loadConfigs,
  secret,
  secretUrl,
  string,
} from '@dharma/core/config'
import { describe, expect, test } from 'vitest'

import { failureOf } from './config-fixtures.ts'

const definition = defineConfig('load', {
  name: string('default', { profiles: { production: 'profile' } }),
  redis: { url: secretUrl('redis://:default@127.0.0.1:6379/0'), ttl: duration('5m') },
  hosts: list(string(), { optional: true }),
})

const single = defineConfig('single', {
  key: string('default', { profiles: { production: 'profile' } }),
})

describe('values from code', () => {
  test('an unknown path is refused', () => {
    const values = { redis: { uri: 'x' } } as object
    expect(() => loadConfig(definition, { environment: {}, values })).toThrow(
      new TypeError('load.redis.uri of the values from code is not in the definition'),
    )
  })

  test('a value where a group must stand is refused', () => {
    const values = { redis: 'canary' } as object
    expect(() => loadConfig(definition, { environment: {}, values })).toThrow(
      new TypeError('load.redis of the values from code must be a plain object'),
    )
  })

  test('neither values nor environment are changed, and the result is frozen', () => {
    const values = { redis: { ttl: '1m' }, hosts: ['a', 'b'] }
    const environment = { DHARMA_LOAD_NAME: 'n' }
    const before = structuredClone({ values, environment })
    const config = loadConfig(definition, { values, environment })
    expect({ values, environment }).toEqual(before)
    expect(Object.isFrozen(values.hosts)).toBe(false)
    for (const part of [config, config.redis, config.hosts, config.redis.url]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
    values.hosts.push('c')
    expect(config.hosts).toEqual(['a', 'b'])
  })
})

describe('ConfigError', () => {
  test('holds everything that is wrong in all definitions', () => {
    const first = defineConfig('first', { port: integer({ max: 9 }), isOn: boolean() })
    const second = defineConfig('second', { key: secret({ minLength: 20 }), other: string() })
    const environment = { DHARMA_FIRST_PORT: 'canary', DHARMA_SECOND_KEY: 'canary' }
    const error = failureOf(() => loadConfigs([first, second], { environment }))
    expect(error.code).toBe('DHARMA_CONFIG_INVALID')
    expect(error.message).toBe(
      [
        '4 problems in the configuration:',
        'first.port (DHARMA_FIRST_PORT): wrong in env, expected an integer of at most 9',
        'first.isOn (DHARMA_FIRST_IS_ON): missing, expected true or false',
        'second.key (DHARMA_SECOND_KEY): wrong in env, expected secret text of at least 20 characters',
        'second.other (DHARMA_SECOND_OTHER): missing, expected text',
      ].join('\n  '),
    )
    expect(Object.isFrozen(error.problems) && Object.isFrozen(error.problems[0])).toBe(true)
  })
})

describe('describe()', () => {
  test('lists path, variable, text and origin of every value, secrets masked', () => {
    const environment = { DHARMA_LOAD_HOSTS: 'a,b' }
    const config = loadConfig(definition, { environment, values: { redis: { ttl: 90_000 } } })
    expect(config.describe()).toEqual([
      { path: 'load.name', variable: 'DHARMA_LOAD_NAME', value: 'default', origin: 'default' },
      {
        path: 'load.redis.url',
        variable: 'DHARMA_LOAD_REDIS_URL',
        value: 'redis://***@127.0.0.1:6379/***',
        origin: 'default',
      },
      { path: 'load.redis.ttl', variable: 'DHARMA_LOAD_REDIS_TTL', value: '1m30s', origin: 'code' },
      { path: 'load.hosts', variable: 'DHARMA_LOAD_HOSTS', value: 'a,b', origin: 'env' },
    ])
    expect(loadConfig(definition, { environment: {} }).describe().at(-1)).toMatchObject({
      value: undefined,
      origin: 'unset',
    })
  })

  test('it does not count as data of the config', () => {
    const config = loadConfig(single, { environment: {} })
    expect(JSON.stringify(config)).toBe('{"key":"default"}')
    expect({ ...config }).toEqual({ key: 'default' })
  })

  test.each([
    ['redis://127.0.0.1:6379', 'redis://127.0.0.1:6379'],
    ['redis://127.0.0.1/', 'redis://127.0.0.1'],
    ['https://host/canary', 'https://host/***'],
    ['https://host?key=canary', 'https://host/***'],
    ['https://canary@host', 'https://***@host'],
    ['mongodb://u:canary@a:1,b:2/db', 'mongodb://***@a:1,b:2/***'],
    ['redis://u:4711#canary@host:6379', '***'],
    ['redis://u:12/canary@host', '***'],
  ])('shows the URL %s as %s', (text, shown) => {
    const one = defineConfig('one-url', { url: secretUrl() })
    const config = loadConfig(one, { environment: { DHARMA_ONE_URL_URL: text } })
    expect(config.url.reveal()).toBe(text)
    expect(config.describe()[0]?.value).toBe(shown)
  })
})
