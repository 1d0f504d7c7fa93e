import { defineConfig, loadConfig, string } from '@dharma/core/config'
import { describe, expect, onTestFinished, test } from 'vitest'

import { failureOf, fileOf, temporaryPath } from './config-fixtures.ts'

const single = defineConfig('single', {
  key: string('default', { profiles: { production: 'profile' } }),
})

describe('sources', () => {
  test('code comes before the environment, mounted file, config file, profile and default', () => {
    const profile = 'production'
    const file = fileOf({ single: { key: 'config file' } })
    const mounted = { DHARMA_SINGLE_KEY_FILE: fileOf('file\n') }
    const environment = { ...mounted, DHARMA_SINGLE_KEY: 'env' }
    const loads = [
      loadConfig(single, { environment: {} }),
      loadConfig(single, { environment: {}, profile }),
      loadConfig(single, { environment: {}, profile, file }),
      loadConfig(single, { environment: mounted, profile, file }),
      loadConfig(single, { environment, profile, file }),
      loadConfig(single, { environment, profile, file, values: { key: 'code' } }),
    ]
    const origins = ['default', 'profile', 'config file', 'file', 'env', 'code']
    expect(loads.map(({ key }) => key)).toEqual(origins)
    expect(loads.map((config) => config.describe()[0]?.origin)).toEqual(origins)
  })

  test('an empty variable sets nothing', () => {
    const environment = {
      DHARMA_SINGLE_KEY: '',
      DHARMA_SINGLE_KEY_FILE: '',
      DHARMA_CONFIG_FILE: '',
    }
    expect(loadConfig(single, { environment }).key).toBe('default')
  })

  test('undefined in code and null in the config file set nothing', () => {
    const options = {
      environment: {},
      values: { key: undefined },
      file: fileOf({ single: { key: null } }),
    }
    expect(loadConfig(single, options).key).toBe('default')
    expect(loadConfig(single, { environment: {}, file: fileOf({ single: null }) }).key).toBe(
      'default',
    )
  })

  test('one line break at the end of a mounted file is trimmed, nothing else', () => {
    for (const [content, value] of [
      ['a\n', 'a'],
      ['a\r\n', 'a'],
      [' a \n\n', ' a \n'],
      ['a', 'a'],
    ] as const) {
      const environment = { DHARMA_SINGLE_KEY_FILE: fileOf(content) }
      expect(loadConfig(single, { environment }).key).toBe(value)
    }
  })

  test('a mounted file that is empty or cannot be read is a problem', () => {
    const load = (path: string) => (): unknown =>
      loadConfig(single, { environment: { DHARMA_SINGLE_KEY_FILE: path } })
    expect(failureOf(load(fileOf('\n'))).message).toBe(
      '1 problem in the configuration:\n  single.key (DHARMA_SINGLE_KEY): wrong in file, ' +
        'expected a file that is not empty',
    )
    expect(failureOf(load(temporaryPath())).problems).toEqual([
      {
        path: 'single.key',
        variable: 'DHARMA_SINGLE_KEY',
        origin: 'file',
        expected: 'the path of a readable file (ENOENT)',
      },
    ])
    expect(failureOf(load('canary\0')).message).toContain('(ERR_INVALID_ARG_VALUE)')
  })

  test('the config file is named by option or variable, and may begin with a byte order mark', () => {
    const file = fileOf(`\uFEFF${JSON.stringify({ single: { key: 'file' } })}`)
    expect(loadConfig(single, { file, environment: {} }).key).toBe('file')
    expect(loadConfig(single, { environment: { DHARMA_CONFIG_FILE: file } }).key).toBe('file')
  })

  test.each([
    ['{"single": {"key": canary}}', 'JSON'],
    ['{\n  "single": {,}\n}', 'JSON (it ends being JSON at line 2, column 14)'],
    ['[]', 'a JSON object'],
    ['{"single": "canary"}', 'a JSON object'],
  ])('a config file that is wrong is a problem without its text (%#)', (content, expected) => {
    const error = failureOf(() => loadConfig(single, { environment: {}, file: fileOf(content) }))
    expect(error.problems.map((problem) => problem.expected)).toEqual([expected])
    expect(error.problems[0]).toMatchObject({
      variable: 'DHARMA_CONFIG_FILE',
      origin: 'config file',
    })
    expect(error.message).not.toContain('canary')
  })

  test('a config file that is missing is a problem', () => {
    const error = failureOf(() => loadConfig(single, { environment: {}, file: temporaryPath() }))
    expect(error.problems[0]?.expected).toBe('the path of a readable file (ENOENT)')
  })

  test('keys that objects inherit are not found in a config file', () => {
    const inherited = defineConfig('inherited', {
      constructor: { name: string('own') },
      toString: string('own'),
    })
    const config = loadConfig(inherited, { environment: {}, file: fileOf({ inherited: {} }) })
    expect([config.constructor.name, config.toString]).toEqual(['own', 'own'])
  })

  test('process.env is read when no environment is given', () => {
    process.env['DHARMA_SINGLE_KEY'] = 'from the process'
    onTestFinished(() => {
      delete process.env['DHARMA_SINGLE_KEY']
    })
    expect(loadConfig(single).key).toBe('from the process')
  })
})
