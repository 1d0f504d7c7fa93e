import {
  bytes,
  defineConfig,
  duration,
  integer,
  list,
  number,
  oneOf,
  secret,
  secretUrl,
  string,
  url,
} from '@dharma/core/config'
import { describe, expect, test } from 'vitest'

function variablesOf(definition: ReturnType<typeof defineConfig>): string[] {
  return definition.leaves.map(({ variable }) => variable)
}

describe('defineConfig', () => {
  test('the variable of each value is computed from its path', () => {
    const definition = defineConfig('names-order', {
      redis: { url: secretUrl(), http2Port: integer(), tlsCAFile: string() },
      maxBytes: bytes(),
      l1: { size: integer() },
    })
    expect(variablesOf(definition)).toEqual([
      'DHARMA_NAMES_ORDER_REDIS_URL',
      'DHARMA_NAMES_ORDER_REDIS_HTTP2_PORT',
      'DHARMA_NAMES_ORDER_REDIS_TLS_CA_FILE',
      'DHARMA_NAMES_ORDER_MAX_BYTES',
      'DHARMA_NAMES_ORDER_L1_SIZE',
    ])
  })

  test('two values of one definition may not share a variable', () => {
    expect(() =>
      defineConfig('names-twice', { redis: { url: string() }, redisUrl: string() }),
    ).toThrow(
      new TypeError(
        'DHARMA_NAMES_TWICE_REDIS_URL would stand for names-twice.redisUrl and for ' +
          'names-twice.redis.url; rename one',
      ),
    )
  })

  test('a value may not take the _FILE variable of another', () => {
    expect(() => defineConfig('names-file', { key: secret(), keyFile: string() })).toThrow(
      /^DHARMA_NAMES_FILE_KEY_FILE would stand for names-file.keyFile and for names-file.key;/,
    )
  })

  test('two namespaces may not share a variable, and a refused one claims none', () => {
    defineConfig('names-a', { bC: string() })
    expect(() => defineConfig('names-a-b', { x: string(), c: string() })).toThrow(
      'DHARMA_NAMES_A_B_C would stand for names-a-b.c and for names-a; rename one',
    )
    expect(variablesOf(defineConfig('names-a', { b: { x: string() } }))).toEqual([
      'DHARMA_NAMES_A_B_X',
    ])
  })

  test('a namespace may be defined again', () => {
    const define = (): string[] => variablesOf(defineConfig('names-again', { a: string() }))
    expect(define()).toEqual(define())
  })

  test('the variables of the library itself are taken', () => {
    expect(() => defineConfig('config', { file: string() })).toThrow(
      'DHARMA_CONFIG_FILE would stand for config.file and for the config file; rename one',
    )
  })

  test.each(['', 'Cache', '1st', 'a_b', 'a.b', 'a--b', '-a'])(
    'the namespace %j is refused',
    (namespace) => {
      expect(() => defineConfig(namespace, {})).toThrow(
        new TypeError(`a config namespace must be like orders or order-items, got "${namespace}"`),
      )
    },
  )

  test.each(['Key', 'a_b', '__proto__', 'a-b', '1'])('the key %j is refused', (key) => {
    expect(() =>
      defineConfig('names-key', { group: Object.fromEntries([[key, string()]]) }),
    ).toThrow(
      new TypeError(`a config key must be camel case, got "${key}" in names-key.group.${key}`),
    )
  })

  test('a key that would hide describe() is refused, deeper it is fine', () => {
    expect(() => defineConfig('names-describe', { describe: string() })).toThrow(
      'names-describe.describe would hide describe() of the loaded config',
    )
    expect(defineConfig('names-describe', { a: { describe: string() } }).leaves).toHaveLength(1)
  })

  test.each([{}, undefined, 'text', []])('a member %j that holds no field is refused', (member) => {
    expect(() => defineConfig('names-member', { group: member as never })).toThrow(
      new TypeError('names-member.group must be a field or a group with a field in it'),
    )
  })

  test.each([
    [integer(5, { max: 3 }), 'the default of names-default.x must be an integer of at most 3'],
    [duration('5 minutes'), 'the default of names-default.x must be a duration such as'],
    [secretUrl('canary-4711'), 'the default of names-default.x must be a URL, with'],
    [oneOf(['a'], { default: 'b' as 'a' }), 'the default of names-default.x must be a'],
    [
      string({ minLength: 2, profiles: { test: '' } }),
      'the default of the profile test of names-default.x must be text of at least 2 characters',
    ],
  ])('a wrong default is refused without showing it (%#)', (field, message) => {
    expect(() => defineConfig('names-default', { x: field })).toThrow(TypeError)
    expect(() => defineConfig('names-default', { x: field })).toThrow(message)
  })

  test.each([
    () => integer({ min: 2, max: 1 }),
    () => number({ min: Number.NaN }),
    () => string({ minLength: 2, maxLength: 1 }),
    () => list(string(), { minLength: 2, maxLength: 1 }),
    () => duration({ min: '2m', max: '1m' }),
    () => bytes({ min: 2, max: 1 }),
  ])('a range that holds nothing is refused (%#)', (construct) => {
    expect(construct).toThrow(RangeError)
    expect(construct).toThrow(/must be at most/)
  })

  test('limits that are no quantity, a pattern without words and an empty choice are refused', () => {
    expect(() => duration({ min: '1' })).toThrow(TypeError)
    expect(() => string({ pattern: /a/ })).toThrow(
      new TypeError('pattern needs expected: what the text must be, in words'),
    )
    expect(() => oneOf([])).toThrow(new TypeError('oneOf needs at least one value'))
    expect(() => url({ schemes: ['https://'] })).toThrow(
      new TypeError('schemes must be like https, got "https://"'),
    )
  })
})
