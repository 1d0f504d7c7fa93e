import fc from 'fast-check'
import { BSON, Decimal128, Long, ObjectId } from 'mongodb'
import { expect, it } from 'vitest'
import { bsonCodec } from '@dharma/database/query-cache'
import { documentKey } from '../../src/query-cache/document-key.ts'

const scalar = fc.oneof(
  fc.string(),
  fc.constantFrom('1', 's1:1', 't', '_', '$a'),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true }),
)
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie('tree'), { maxKeys: 3 }),
  ),
}))

it('two queries have one key exactly where the server is sent the same', () => {
  const sent = (value: unknown): string => Buffer.from(BSON.serialize({ value })).toString('latin1')
  fc.assert(
    fc.property(tree, tree, (one, other) => {
      expect(documentKey([one]) === documentKey([other])).toBe(sent(one) === sent(other))
    }),
    { numRuns: 2_000 },
  )
})

it('keeps types apart that print alike', () => {
  const id = new ObjectId()
  const values = [
    1,
    '1',
    1n,
    true,
    'true',
    null,
    'null',
    [1],
    { 0: 1 },
    new Date(1),
    /1/,
    /1/i,
    '/1/',
    new Uint8Array([1]),
    id,
    id.toHexString(),
    Long.fromNumber(1),
    Decimal128.fromString('1'),
    { a: 1, b: 2 },
    { b: 2, a: 1 },
  ]
  expect(new Set(values.map((value) => documentKey([value]))).size).toBe(values.length)
  expect(documentKey([undefined])).toBe(documentKey([null]))
  expect(documentKey([new Map([['a', 1]])])).toBe(documentKey([{ a: 1 }]))
  expect(documentKey([{ toBSON: () => 'x' }])).toBe(documentKey(['x']))
  expect(documentKey([new ObjectId(id.toHexString())])).toBe(documentKey([id]))
})

it('shortens what is long, tells long ones apart still, and refuses what cannot be compared', () => {
  const long = 'x'.repeat(1_000)
  expect(documentKey([long]).length).toBeLessThan(64)
  expect(documentKey([long])).not.toBe(documentKey([`${long}x`]))
  expect(() => documentKey([{ a: () => 1 }])).toThrow('a query must not hold a function')
  expect(() => documentKey([Symbol('x')])).toThrow('a query must not hold a symbol')
})

it('a codec of BSON keeps what the driver gives', () => {
  const codec = bsonCodec(BSON)
  const documents = [{ _id: new ObjectId(), at: new Date(), n: 1, d: Decimal128.fromString('1.5') }]
  expect(codec.decode(Buffer.from(codec.encode(documents)))).toEqual(documents)
})
