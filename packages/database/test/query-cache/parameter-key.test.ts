import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parameterKey } from '../../src/query-cache/parameter-key.ts'

const value = fc.oneof(
  fc.string(),
  fc.constantFrom('1', '1,', 't', '_', 's1:1', '2024-01-01'),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(null, undefined),
  fc.date(),
  fc.uint8Array({ maxLength: 8 }),
  fc.array(fc.oneof(fc.integer(), fc.string(), fc.constant(null)), { maxLength: 3 }),
  fc.dictionary(fc.string(), fc.integer(), { maxKeys: 2 }),
)

/** What the driver sends, and of which type it came: the naive model. */
function model(one: unknown): string {
  if (one === null || one === undefined) return 'null'
  if (Array.isArray(one)) return JSON.stringify(['array', ...one.map(model)])
  if (one instanceof Date) return JSON.stringify(['date', one.getTime()])
  if (ArrayBuffer.isView(one)) return JSON.stringify(['bytes', ...(one as Uint8Array)])
  if (typeof one === 'object') return JSON.stringify(['json', JSON.stringify(one)])
  return JSON.stringify([typeof one, String(one)])
}

it('two lists have one key exactly where types and values are the same', () => {
  const list = fc.array(value, { maxLength: 4 })
  fc.assert(
    fc.property(list, list, (one, other) => {
      const isSame = JSON.stringify(one.map(model)) === JSON.stringify(other.map(model))
      expect(parameterKey(one) === parameterKey(other)).toBe(isSame)
    }),
    { numRuns: 3_000 },
  )
})

it('keeps types apart', () => {
  const keys = [
    [1],
    ['1'],
    [1n],
    [true],
    ['true'],
    [null],
    ['null'],
    [[1]],
    [{ 0: 1 }],
    [1, 1],
    ['11'],
  ]
  expect(new Set(keys.map(parameterKey)).size).toBe(keys.length)
})

it('shortens what is long, and tells long lists apart still', () => {
  const long = 'x'.repeat(1_000)
  expect(parameterKey([long]).length).toBeLessThan(64)
  expect(parameterKey([long])).not.toBe(parameterKey([`${long}x`]))
})

it('refuses what cannot be compared', () => {
  expect(() => parameterKey([Symbol('x')])).toThrow('a query must not hold a symbol')
  expect(() => parameterKey([() => 1])).toThrow('a query must not hold a function')
  expect(() => parameterKey([{ toPostgres: () => 'x' }])).toThrow(
    'a parameter with toPostgres has no key',
  )
})
