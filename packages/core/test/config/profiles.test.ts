import {
  defineConfig,
  integer,
  loadConfig,
  oneOf,
  readProfile,
  secret,
  string,
} from '@dharma/core/config'
import { describe, expect, test } from 'vitest'

import { failureOf } from './config-fixtures.ts'

const single = defineConfig('single', {
  key: string('default', { profiles: { production: 'profile' } }),
})

describe('profiles', () => {
  test.each([
    [{}, 'development'],
    [{ NODE_ENV: 'test' }, 'test'],
    [{ NODE_ENV: 'production' }, 'production'],
    [{ NODE_ENV: 'staging' }, 'production'],
    [{ NODE_ENV: '', DHARMA_PROFILE: '' }, 'development'],
    [{ NODE_ENV: 'production', DHARMA_PROFILE: 'test' }, 'test'],
    [{ NODE_ENV: 'production', DHARMA_PROFILE: 'staging' }, undefined],
  ])('of the environment %j is %s', (environment, profile) => {
    expect(readProfile(environment)).toBe(profile)
  })

  test('the profile decides about defaults', () => {
    const byProfile = defineConfig('by-profile', {
      level: oneOf(['info', 'debug'], 'info', { profiles: { development: 'debug' } }),
      key: secret({ profiles: { development: 'weak', test: 'weak' } }),
    })
    const origins = loadConfig(byProfile, { environment: {} }).describe()
    expect(origins.map(({ value, origin }) => [value, origin])).toEqual([
      ['debug', 'profile'],
      ['***', 'profile'],
    ])
    expect(loadConfig(byProfile, { environment: {}, profile: 'test' }).level).toBe('info')
    const error = failureOf(() =>
      loadConfig(byProfile, { environment: { NODE_ENV: 'production' } }),
    )
    expect(error.problems).toEqual([
      {
        path: 'by-profile.key',
        variable: 'DHARMA_BY_PROFILE_KEY',
        origin: undefined,
        expected: 'secret text',
      },
    ])
  })

  test('a profile that is not known is a problem, and only what is wrong besides is reported', () => {
    const required = defineConfig('required', { a: string(), b: integer() })
    const environment = { DHARMA_PROFILE: 'canary', DHARMA_REQUIRED_B: 'canary' }
    const error = failureOf(() => loadConfig(required, { environment }))
    expect(error.message).toBe(
      '2 problems in the configuration:\n' +
        '  profile (DHARMA_PROFILE): wrong in env, expected one of development, test, production\n' +
        '  required.b (DHARMA_REQUIRED_B): wrong in env, expected an integer',
    )
  })

  test('an unknown profile in code is refused', () => {
    expect(() => loadConfig(single, { environment: {}, profile: 'staging' as 'test' })).toThrow(
      new TypeError('profile must be one of development, test, production, got "staging"'),
    )
  })
})
