import {
  defineConfig,
  duration,
  loadConfig,
  loadConfigs,
  string,
  type ConfigWarning,
  type LoadConfigsOptions,
} from '@dharma/core/config'
import { describe, expect, onTestFinished, test } from 'vitest'

import { fileOf } from './config-fixtures.ts'

const definition = defineConfig('load', {
  name: string('default'),
  redis: { ttl: duration('5m') },
})

const single = defineConfig('single', {
  key: string('default', { profiles: { production: 'profile' } }),
})

function warningsOf(
  definitions: Parameters<typeof loadConfigs>[0],
  options: Omit<LoadConfigsOptions, 'values'>,
): ConfigWarning[] {
  const warnings: ConfigWarning[] = []
  loadConfigs(definitions, { ...options, onWarning: (warning) => warnings.push(warning) })
  return warnings
}

describe('warnings', () => {
  test('an unknown variable is named with the nearest known one', () => {
    const environment = { DHARMA_LOAD_REDIS_TLT: 'canary', DHARMA_SOMETHING_ELSE: 'canary' }
    expect(warningsOf([definition], { environment })).toEqual([
      {
        name: 'DHARMA_LOAD_REDIS_TLT',
        nearest: 'DHARMA_LOAD_REDIS_TTL',
        message:
          'environment variable DHARMA_LOAD_REDIS_TLT sets nothing; did you mean ' +
          'DHARMA_LOAD_REDIS_TTL?',
      },
      {
        name: 'DHARMA_SOMETHING_ELSE',
        nearest: undefined,
        message: 'environment variable DHARMA_SOMETHING_ELSE sets nothing',
      },
    ])
  })

  test('variables of other definitions, of tools and of others are not warned of', () => {
    const environment = {
      DHARMA_SINGLE_KEY: 'x',
      DHARMA_SINGLE_KEY_FILE: 'x',
      DHARMA_PROFILE: 'test',
      DHARMA_TEST_REDIS_URL: 'x',
      DHARMA_BENCH_CONTEXT: 'x',
      PATH: 'x',
    }
    expect(warningsOf([definition], { environment })).toEqual([])
  })

  test('unknown keys of the config file are warned of, other namespaces and $schema not', () => {
    const file = fileOf({
      $schema: 'x',
      lod: {},
      single: { strange: 1 },
      load: { naem: 'canary', redis: { tttl: '1m', ttl: '1m' } },
    })
    const warnings = warningsOf([definition], { environment: {}, file })
    expect(warnings.map(({ name, nearest }) => [name, nearest])).toEqual([
      ['lod', 'load'],
      ['load.naem', 'load.name'],
      ['load.redis.tttl', 'load.redis.ttl'],
    ])
    expect(JSON.stringify(warnings)).not.toContain('canary')
  })

  test('without a listener they are emitted by the process, once for each name', async () => {
    const emitted: Error[] = []
    const listen = (warning: Error): void => {
      if (warning.name === 'ConfigWarning') emitted.push(warning)
    }
    process.on('warning', listen)
    onTestFinished(() => void process.off('warning', listen))
    const environment = { DHARMA_SINGLE_KEI: 'canary' }
    loadConfig(single, { environment })
    loadConfig(single, { environment })
    await new Promise((resolve) => setImmediate(resolve))
    expect(emitted.map(({ message }) => message)).toEqual([
      'environment variable DHARMA_SINGLE_KEI sets nothing; did you mean DHARMA_SINGLE_KEY?',
    ])
  })
})
