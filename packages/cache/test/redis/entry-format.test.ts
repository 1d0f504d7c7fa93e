import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ValueEncodingError, v8Codec, type Codec } from '@dharma/cache'
import { EntryFormat, joinEntry, type EntryFormatOptions } from '../../src/redis/entry-format.ts'
import { keySlot } from '../../src/redis/key-slot.ts'
import { KeyLayout, storedKey } from '../../src/redis/key-layout.ts'

const HEADER = {
  ttlMs: 1_000,
  staleMs: 20,
  graceMs: 30,
  loadMs: 4,
  isNegative: false,
  tags: ['a', 'é'],
}

function roundTrip(value: unknown, options?: EntryFormatOptions, codec?: Codec): unknown {
  const format = new EntryFormat(options)
  const bytes = joinEntry(format.encode('n', value, HEADER, codec), 17, 99)
  expect(format.header(bytes)).toEqual({ ...HEADER, version: 17, createdMs: 99 })
  return format.value(() => 'n', 'k', bytes)
}

const secret = (byte: number): Uint8Array => Buffer.alloc(32, byte)

describe('EntryFormat', () => {
  it('gives back every JSON value and its header', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(roundTrip(value)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it.each([[undefined], [null], [''], ['x'.repeat(2_000_000)]])(
    'gives back the edge %#',
    (value) => {
      expect(roundTrip(value)).toBe(value)
    },
  )

  it('keeps bytes as bytes, whatever the codec', () => {
    expect(roundTrip(Buffer.from([0, 255, 1]))).toEqual(Buffer.from([0, 255, 1]))
  })

  it('keeps dates, maps and bigint with the v8 codec', () => {
    const value = { at: new Date(5), map: new Map([[1, 2n]]) }
    expect(roundTrip(value, { codec: v8Codec })).toEqual(value)
  })

  it('reads format 1 as it was first written', () => {
    const bytes = Buffer.from(
      'd1000000403100000000000040590000000000000000000a0000000b0000000c0000000d00055b2274225d7b2278223a317d',
      'hex',
    )
    const format = new EntryFormat()
    expect(format.header(bytes)).toEqual({
      version: 17,
      createdMs: 100,
      ttlMs: 10,
      staleMs: 11,
      graceMs: 12,
      loadMs: 13,
      isNegative: false,
      tags: ['t'],
    })
    expect(format.value(() => 'n', 'k', bytes)).toEqual({ x: 1 })
    const again = format.encode(
      'n',
      { x: 1 },
      { ttlMs: 10, staleMs: 11, graceMs: 12, loadMs: 13, isNegative: false, tags: ['t'] },
    )
    expect(joinEntry(again, 17, 100).toString('hex')).toBe(bytes.toString('hex'))
  })

  it('compresses what is large', () => {
    const format = new EntryFormat({ compressAboveBytes: 100 })
    expect(format.encode('n', 'x'.repeat(10_000), HEADER).rest.length).toBeLessThan(500)
    expect(roundTrip('x'.repeat(10_000), { compressAboveBytes: 100 })).toBe('x'.repeat(10_000))
  })

  it('opens what an older key sealed, and nothing that was changed or moved', () => {
    const old = new EntryFormat({ encryptionKeys: [{ id: 1, secret: secret(1) }] })
    const rotated = new EntryFormat({
      encryptionKeys: [
        { id: 2, secret: secret(2) },
        { id: 1, secret: secret(1) },
      ],
    })
    const bytes = joinEntry(old.encode('n', 'secret', HEADER), 1, 1)
    expect(bytes.includes('secret')).toBe(false)
    expect(rotated.value(() => 'n', 'k', bytes)).toBe('secret')
    expect(() => rotated.value(() => 'other', 'k', bytes)).toThrow(/authenticate/)
    const changed = Buffer.from(bytes)
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    expect(() => rotated.value(() => 'n', 'k', changed)).toThrow(/authenticate/)
    expect(() => new EntryFormat().value(() => 'n', 'k', bytes)).toThrow('encrypted')
    const plain = joinEntry(new EntryFormat().encode('n', 'x', HEADER), 1, 1)
    expect(() => rotated.value(() => 'n', 'k', plain)).toThrow('only encrypted')
    const foreign = new EntryFormat({ encryptionKeys: [{ id: 3, secret: secret(3) }] })
    expect(() => foreign.value(() => 'n', 'k', bytes)).toThrow('key 1 is not in the key ring')
  })

  it.each([
    [[{ id: 256, secret: secret(1) }], /id must be an integer/],
    [[{ id: 1, secret: Buffer.alloc(5) }], /must have 32 bytes, got 5/],
    [
      [
        { id: 1, secret: secret(1) },
        { id: 1, secret: secret(2) },
      ],
      /is there twice/,
    ],
  ])('refuses the key ring %#', (keys, message) => {
    expect(() => new EntryFormat({ encryptionKeys: keys as never })).toThrow(message)
  })

  it('says which codec could not encode', () => {
    expect(() => roundTrip({ big: 1n })).toThrow(ValueEncodingError)
    expect(() => roundTrip(() => 1)).toThrow('the value cannot be encoded as json')
  })

  it('knows nothing of bytes in another format, and of codecs it was not told', () => {
    const format = new EntryFormat()
    expect(format.header(Buffer.from('hello'))).toBeUndefined()
    const own: Codec = { id: 99, name: 'own', encode: () => Buffer.from('x'), decode: () => 'y' }
    const bytes = joinEntry(new EntryFormat({ codec: own }).encode('n', 1, HEADER), 1, 1)
    expect(() => format.value(() => 'n', 'k', bytes)).toThrow('codec 99 is not known')
    expect(new EntryFormat({ readableCodecs: [own] }).value(() => 'n', 'k', bytes)).toBe('y')
    expect(() => new EntryFormat({ codec: { ...own, id: 300 } })).toThrow(/id must be an integer/)
  })
})

describe('KeyLayout', () => {
  it('puts an entry and its lease in one slot, whatever the key', { timeout: 60_000 }, () => {
    const layout = new KeyLayout('ns')
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }), (key) => {
        expect(keySlot(layout.entry(key))).toBe(keySlot(layout.lease(key)))
      }),
    )
    expect(keySlot(layout.log)).toBe(keySlot(layout.version))
    expect(keySlot(layout.log)).toBe(keySlot(layout.patterns))
  })

  it('never gives two keys one name', { timeout: 60_000 }, () => {
    const key = fc.oneof(
      fc.string({
        minLength: 1,
        maxLength: 4,
        unit: fc.constantFrom('}', '%', '#', 'a', '{', '\uD800', '\uD801'),
      }),
      fc.string({ minLength: 1 }).map((text) => text.repeat(300)),
    )
    fc.assert(
      fc.property(key, key, (one, other) => {
        expect(Buffer.from(storedKey(one)).equals(Buffer.from(storedKey(other)))).toBe(
          one === other,
        )
      }),
      { numRuns: 2_000 },
    )
  })

  it('computes slots as Redis does', () => {
    expect([keySlot('123456789'), keySlot('foo'), keySlot('a{foo}b')]).toEqual([
      12_739, 12_182, 12_182,
    ])
  })
})
