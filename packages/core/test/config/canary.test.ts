import { inspect } from 'node:util'

import { Secret, toError, type Logger } from '@dharma/core'
import {
  defineConfig,
  generateEnvExample,
  generateJsonSchema,
  generateMarkdownTable,
  list,
  loadConfig,
  schema,
  secret,
  secretSchema,
  secretUrl,
  type Field,
} from '@dharma/core/config'
import { createLogger } from '@dharma/core/logger'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { fileOf } from './config-fixtures.ts'

const CANARY = 'canary-4711'
const login = z.object({ user: z.string(), password: z.string() })
const url = `redis://u:${CANARY}@h:6379/${CANARY}?token=${CANARY}#${CANARY}`

interface Case {
  readonly name: string
  readonly field: (given: object) => Field<unknown>
  readonly good: unknown
  readonly bad: unknown
}

/** Every kind of field that can hold a secret, with a value it takes and one that it refuses. */
const cases: readonly Case[] = [
  {
    name: 'secret',
    field: (given) => secret({ minLength: 5, maxLength: 30, ...given }),
    good: CANARY,
    bad: CANARY.repeat(9),
  },
  {
    name: 'secretUrl',
    field: (given) => secretUrl(given),
    good: url,
    bad: `redis://u:x/${CANARY}#${CANARY}@h`,
  },
  {
    name: 'list of secret',
    field: (given) => list(secret(), { maxLength: 2, ...given }),
    good: `${CANARY},${CANARY}`,
    bad: `${CANARY},${CANARY},${CANARY}`,
  },
  {
    name: 'list of secretUrl',
    field: (given) => list(secretUrl(), given),
    good: `${url},${url}`,
    bad: `${url},${CANARY}`,
  },
  {
    name: 'secretSchema',
    field: (given) => secretSchema(login, { expected: 'a login', format: 'json', ...given }),
    good: { user: 'u', password: CANARY },
    bad: { user: CANARY },
  },
]

/** Everything that anybody might do to show a value. */
function shown(value: unknown): string {
  const lines: string[] = []
  const logger: Logger = createLogger({
    level: 'trace',
    destination: { write: (line) => lines.push(line) },
  })
  logger.info({ value }, 'text %s %o %j', value, value, value)
  logger.child({ value }).error({ value })
  logger.warn(Object(value) as object)
  logger.error(toError(value))
  const error = value instanceof Error ? [value.message, value.stack, String(value)] : []
  return [
    ...lines,
    ...error,
    JSON.stringify(value),
    inspect(value, { depth: null, showHidden: true, getters: true }),
    ...Object.entries(value as object).map(String),
  ].join('\n')
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe.each(cases)('$name', ({ field, good, bad }) => {
  const define = (given: object = {}): ReturnType<typeof defineConfig> =>
    defineConfig('canary', { group: { x: field(given) } })
  const sourcesOf = (value: unknown): Parameters<typeof loadConfig>[1][] => [
    { environment: { DHARMA_CANARY_GROUP_X: textOf(value) } },
    { environment: { DHARMA_CANARY_GROUP_X_FILE: fileOf(textOf(value)) } },
    { environment: {}, file: fileOf({ canary: { group: { x: value } } }) },
    { environment: {}, values: { group: { x: value } } as object },
  ]

  test('a good value is nowhere shown, from whatever source', () => {
    for (const source of sourcesOf(good)) {
      const config = loadConfig(define(), source)
      const revealed = [(config['group'] as { x: unknown }).x]
        .flat()
        .map((each) => textOf((each as Secret<unknown>).reveal()))
      expect(revealed.join('')).toContain(CANARY)
      expect(shown(config) + shown(config.describe())).not.toContain('canary-')
    }
  })

  test('a bad value is nowhere shown, from whatever source', () => {
    for (const source of sourcesOf(bad)) {
      expect(shown(thrownBy(() => loadConfig(define(), source)))).not.toContain('canary-')
    }
  })

  test('a default is neither shown nor documented', () => {
    const definition = define({ default: good, profiles: { test: good } })
    const config = loadConfig(definition, { environment: {} })
    expect(shown(config) + shown(config.describe())).not.toContain('canary-')
    expect(shown(definition)).not.toContain('canary-')
    expect(generateEnvExample([definition])).not.toContain('canary-')
    expect(JSON.stringify(generateJsonSchema([definition]))).not.toContain('canary-')
    expect(generateMarkdownTable([definition])).not.toContain('canary-')
  })

  test('a bad default is refused without being shown', () => {
    expect(shown(thrownBy(() => define({ default: bad })))).not.toContain('canary-')
  })
})

describe('mistakes around secrets', () => {
  test('a secret in place of the path of its file is not shown', () => {
    const definition = defineConfig('canary', { key: secret() })
    for (const environment of [
      { DHARMA_CANARY_KEY_FILE: CANARY },
      { DHARMA_CANARY_KEY: 'k', DHARMA_CONFIG_FILE: CANARY },
      { DHARMA_CANARY_KEY: 'k', DHARMA_PROFILE: CANARY },
    ]) {
      expect(shown(thrownBy(() => loadConfig(definition, { environment })))).not.toContain(
        'canary-',
      )
    }
  })

  test('a secret in a schema field that refuses it is not quoted', () => {
    const field = schema(
      z.string().refine(() => false, { error: ({ input }) => `not ${String(input)}` }),
      { expected: 'something else' },
    )
    const definition = defineConfig('canary', { key: field })
    const environment = { DHARMA_CANARY_KEY: CANARY }
    expect(shown(thrownBy(() => loadConfig(definition, { environment })))).not.toContain('canary-')
  })
})

describe('Secret', () => {
  test('reads *** in every form and reveals its value on purpose alone', () => {
    const value = new Secret(CANARY)
    const asText = value as unknown as string
    expect([String(value), `${asText}!`, JSON.stringify({ value }), inspect({ value })]).toEqual([
      '***',
      '***!',
      '{"value":"***"}',
      '{ value: *** }',
    ])
    expect(`a ${asText}`.concat(asText)).toBe('a ******')
    expect(Object.keys(value)).toEqual([])
    expect(Number(value)).toBeNaN()
    expect(new Error(`no ${asText}`, { cause: value }).message).toBe('no ***')
    expect(value.reveal()).toBe(CANARY)
  })
})
