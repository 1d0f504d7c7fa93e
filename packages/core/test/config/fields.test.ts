import { Secret } from '@dharma/core'
import {
  boolean,
  bytes,
  ConfigError,
  defineConfig,
  duration,
  integer,
  list,
  loadConfig,
  number,
  oneOf,
  port,
  schema,
  secret,
  secretSchema,
  secretUrl,
  string,
  url,
  type Field,
  type StandardSchema,
} from '@dharma/core/config'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

function load(field: Field<unknown>, source: { text?: string; value?: unknown }): unknown {
  const definition = defineConfig('fields', { x: field })
  const environment = { DHARMA_FIELDS_X: source.text }
  const config = loadConfig(definition, { environment, values: { x: source.value } })
  return config.x instanceof Secret ? config.x.reveal() : config.x
}

function expectedOf(field: Field<unknown>, source: { text?: string; value?: unknown }): string {
  try {
    load(field, source)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems[0]?.expected ?? ''
    throw error
  }
  return 'nothing: it was taken'
}

const point = z.object({ x: z.number() })

describe('text of the environment', () => {
  test.each<[Field<unknown>, string, unknown]>([
    [string(), ' as it is ', ' as it is '],
    [string({ pattern: /[a-z]+/y, expected: 'letters' }), 'abc', 'abc'],
    [integer(), '42', 42],
    [integer(), ' -7 ', -7],
    [integer({ min: -1 }), '-0', 0],
    [number(), '1.5e3', 1500],
    [number(), '.5', 0.5],
    [port(), '0', 0],
    [port(), '65535', 65_535],
    [boolean(), 'TRUE', true],
    [boolean(), '0', false],
    [oneOf(['a', 'b']), ' b', 'b'],
    [duration(), '1h30m', 5_400_000],
    [bytes(), '64MiB', 67_108_864],
    [url(), 'https://example.org/a?b=c', 'https://example.org/a?b=c'],
    [url({ schemes: ['http', 'https'] }), 'HTTPS://example.org', 'HTTPS://example.org'],
    [secret(), 's3cret ', 's3cret '],
    [secretUrl(), 'redis://u:p@h:6379/0', 'redis://u:p@h:6379/0'],
    [secretUrl(), 'mongodb://u:p@a:1,b:2/db?x=y', 'mongodb://u:p@a:1,b:2/db?x=y'],
    [secretUrl(), 'postgres://u:p%40ss@[::1]:5432/db', 'postgres://u:p%40ss@[::1]:5432/db'],
    [list(string()), 'a, b,c', ['a', 'b', 'c']],
    [list(duration()), '1s,2s', [1000, 2000]],
    [schema(z.string().regex(/^a/), { expected: 'an a' }), 'abc', 'abc'],
    [schema(point, { expected: 'a point', format: 'json' }), '{"x":1}', { x: 1 }],
    [secretSchema(point, { expected: 'a point', format: 'json' }), '{"x":1}', { x: 1 }],
  ])('is read (%#: %s from %j)', (field, text, expected) => {
    expect(load(field, { text })).toEqual(expected)
  })

  test.each<[Field<unknown>, string, string]>([
    [string({ minLength: 3 }), 'ab', 'text of at least 3 characters'],
    [string({ minLength: 3, maxLength: 4 }), 'abcde', 'text from 3 to 4 characters'],
    [string({ pattern: /[a-z]+/, expected: 'letters' }), 'abc1', 'letters'],
    [integer(), '1.5', 'an integer'],
    [integer(), '0x10', 'an integer'],
    [integer(), '9007199254740993', 'an integer'],
    [integer({ min: 1, max: 10 }), '11', 'an integer from 1 to 10'],
    [integer({ max: 10 }), '11', 'an integer of at most 10'],
    [number(), 'Infinity', 'a number'],
    [number(), '1,5', 'a number'],
    [number(), '1e999', 'a number'],
    [port({ min: 1 }), '0', 'a port from 1 to 65535'],
    [port(), '65536', 'a port from 0 to 65535'],
    [boolean(), 'yes', 'true or false'],
    [oneOf(['a', 'b']), 'A', 'one of a, b'],
    [oneOf(['a']), 'b', 'a'],
    [duration({ min: '1s' }), '10ms', 'a duration such as 250ms, 5m or 1h30m, of at least 1s'],
    [duration(), '300', 'a duration such as 250ms, 5m or 1h30m'],
    [bytes({ max: '1mb' }), '2mb', 'a size such as 512kb, 64MiB or 1.5gb, of at most 1MiB'],
    [url(), 'example.org', 'a URL without user name and password'],
    [url(), 'https://u:p@example.org', 'a URL without user name and password'],
    [url(), 'https://example.org:99999', 'a URL without user name and password'],
    [
      url({ schemes: ['http', 'https'] }),
      'ftp://example.org',
      'a URL that begins with http:// or https:// without user name and password',
    ],
    [secret({ minLength: 12 }), 'short', 'secret text of at least 12 characters'],
    [
      secretUrl({ schemes: ['redis'] }),
      'redis://:pa/ss@h',
      'a URL that begins with redis://, with reserved characters of its password percent-encoded',
    ],
    [
      list(integer(), { minLength: 2 }),
      '1',
      'a list of at least 2, separated by commas, each an integer',
    ],
    [list(integer()), '1,x', 'a list, separated by commas, each an integer'],
    [list(string()), 'a,,b', 'a list, separated by commas, each text'],
    [schema(z.string().regex(/^a/), { expected: 'an a' }), 'b', 'an a'],
    [schema(point, { expected: 'a point', format: 'json' }), '{"x":"1"}', 'a point'],
    [schema(point, { expected: 'a point', format: 'json' }), '{', 'a point'],
    [secretSchema(point, { expected: 'a point', format: 'json' }), '{}', 'a point'],
  ])('is refused (%#: %s from %j)', (field, text, expected) => {
    expect(expectedOf(field, { text })).toBe(expected)
  })
})

describe('values from code', () => {
  test.each<[Field<unknown>, unknown, unknown]>([
    [string(), '', ''],
    [integer(), 42, 42],
    [number(), -0.5, -0.5],
    [boolean(), false, false],
    [duration(), 1500, 1500],
    [bytes(), '1kb', 1024],
    [secret(), new Secret('s'), 's'],
    [secretUrl(), new Secret('redis://h'), 'redis://h'],
    [list(integer()), [1, 2], [1, 2]],
    [list(integer()), [], []],
    [schema(point, { expected: 'a point' }), { x: 1 }, { x: 1 }],
    [secretSchema(point, { expected: 'a point' }), new Secret({ x: 1 }), { x: 1 }],
  ])('are taken (%#: %s from %j)', (field, value, expected) => {
    expect(load(field, { value })).toEqual(expected)
  })

  test.each<[Field<unknown>, unknown]>([
    [string(), 1],
    [integer(), 1.5],
    [number(), Number.NaN],
    [boolean(), 1],
    [oneOf(['1']), 1],
    [duration(), -1],
    [duration(), new Date(0)],
    [url(), new URL('https://example.org')],
    [secret(), new Secret(1)],
    [list(integer()), [1, 'x']],
    [list(integer(), { maxLength: 1 }), [1, 2]],
    [list(integer()), { 0: 1 }],
    [schema(point, { expected: 'a point' }), 1],
  ])('are refused (%#: %s from %j)', (field, value) => {
    expect(expectedOf(field, { value })).toBe(field.kind.expected)
  })
})

describe('schema', () => {
  test('the result is copied and frozen, the value given is neither changed nor frozen', () => {
    const given = { list: [{ a: 1 }], at: new Date(0) }
    const shape = z.object({ list: z.array(z.object({ a: z.number() })), at: z.date() })
    const value = load(schema(shape, { expected: 'x' }), { value: given }) as typeof given
    expect(value).toEqual(given)
    expect(Object.isFrozen(value) && Object.isFrozen(value.list[0])).toBe(true)
    expect(Object.isFrozen(given)).toBe(false)
    expect(value.at).toBe(given.at)
  })

  test('a value that is in itself, or in two places, is so in the copy, and describe() shows it', () => {
    const anything = schema(z.any(), { expected: 'anything' })
    interface Ring {
      self?: Ring
      twice: readonly object[]
    }
    const leaf = { a: 1 }
    const given: Ring = { twice: [leaf, leaf] }
    given.self = given
    const config = loadConfig(defineConfig('ring', { x: anything }), {
      environment: {},
      values: { x: given },
    })
    const copy = config.x as Ring
    expect(copy).not.toBe(given)
    expect(copy.self).toBe(copy)
    expect(copy.twice[0]).toBe(copy.twice[1])
    expect([copy, copy.twice, copy.twice[0]].every(Object.isFrozen)).toBe(true)
    expect(Object.isFrozen(given)).toBe(false)
    expect(config.describe()[0]?.value).toContain('self: [Circular')
  })

  test('a value that only looks like a prototype or has gaps is copied as it is', () => {
    const anything = schema(z.any(), { expected: 'anything', format: 'json' })
    const copy = load(anything, { text: '{"__proto__":{"isAdmin":true},"a":[1]}' }) as object
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect(Object.keys(copy)).toEqual(['__proto__', 'a'])
    const gaps = [1]
    gaps.length = 3
    expect(load(anything, { value: gaps })).toHaveLength(3)
  })

  test('a schema that answers with a promise is refused', () => {
    const later = z.string().refine(() => Promise.resolve(true))
    expect(() => load(schema(later, { expected: 'a name' }), { text: 'x' })).toThrow(
      new TypeError('the schema of a name must validate synchronously and not throw'),
    )
  })

  test('a schema that throws refuses the value', () => {
    const throwing: StandardSchema<string> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => ({ value: new URL(String(value)).href }),
      },
    }
    const field = schema(throwing, { expected: 'a link' })
    expect(load(field, { text: 'https://example.org' })).toBe('https://example.org/')
    expect(expectedOf(field, { text: 'canary' })).toBe('a link')
  })
})
