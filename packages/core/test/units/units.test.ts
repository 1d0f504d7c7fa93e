import { formatBytes, formatDuration, parseBytes, parseDuration } from '@dharma/core/units'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const wholeNumber = fc.maxSafeNat()

describe('parseDuration', () => {
  test.each([
    ['250ms', 250],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1h 30m', 5_400_000],
    ['1.5s', 1500],
    ['0.001s', 1],
    [' 2 D ', 172_800_000],
    ['0', 0],
    ['0ms', 0],
    [90, 90],
  ])('reads %j as %d ms', (input, expected) => {
    expect(parseDuration(input)).toBe(expected)
  })

  test('decimals are computed without rounding', () => {
    expect(parseDuration('4.35s')).toBe(4350)
    expect(parseDuration('1.1d')).toBe(95_040_000)
    expect(() => parseDuration('0.3ms')).toThrow(/got a fraction of the smallest unit/)
  })

  test.each([
    ['300', 'a number without a unit'],
    ['', 'empty text'],
    ['   ', 'empty text'],
    ['-5m', 'a negative one'],
    ['5 parsecs', 'text of 9 characters'],
    ['30m1h', 'text of 5 characters'],
    ['1m1m', 'text of 4 characters'],
    ['5m!', 'text of 3 characters'],
    ['1e3ms', 'text of 5 characters'],
    [1.5, 'a number that is not whole'],
    [Number.NaN, 'a number that is not whole'],
    [null, 'null'],
    [undefined, 'a value of type undefined'],
    [{}, 'a value of type object'],
  ])('refuses %j, naming its shape and not its text', (input, shape) => {
    expect(() => parseDuration(input as string)).toThrow(
      new TypeError(
        'a duration is a whole number of milliseconds, or text with units such as 250ms, 5m or ' +
          `1h30m; got ${shape}`,
      ),
    )
  })

  test('a duration outside the limits is refused with the limits', () => {
    const limits = { minMs: 1000, maxMs: 60_000 }
    expect(parseDuration('1s', limits)).toBe(1000)
    expect(parseDuration('1m', limits)).toBe(60_000)
    expect(() => parseDuration('999ms', limits)).toThrow(
      new RangeError('a duration must lie between 1s and 1m; got one below 1s'),
    )
    expect(() => parseDuration(60_001, limits)).toThrow(
      new RangeError('a duration must lie between 1s and 1m; got one above 1m'),
    )
    expect(() => parseDuration(-1)).toThrow(/got one below 0ms/)
    expect(() => parseDuration('9999999999999999d')).toThrow(RangeError)
    expect(() => parseDuration(Infinity)).toThrow(TypeError)
  })

  test('what formatDuration writes is read back as it was', () => {
    fc.assert(
      fc.property(wholeNumber, (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })

  test('any text is either read as a whole number from 0 or refused with a TypeError or RangeError', () => {
    const pieces = fc.array(
      fc.constantFrom('1', '23', '.5', 'ms', 's', 'm', 'h', 'd', ' ', '-', 'x', '0'),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          pieces.map((all) => all.join('')),
        ),
        (text) => {
          expect(outcomeOf(text)).toMatch(/^(?:a whole number|TypeError|RangeError)$/)
        },
      ),
    )
  })

  test('a decimal number of a unit is that many times the unit', () => {
    const units = { d: 86_400_000n, h: 3_600_000n, m: 60_000n, s: 1000n }
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.nat(9),
        fc.constantFrom('d', 'h', 'm', 's'),
        (whole, tenth, unit) => {
          const tenths = BigInt(whole) * 10n + BigInt(tenth)
          expect(parseDuration(`${whole}.${tenth}${unit}`)).toBe(
            Number((tenths * units[unit]) / 10n),
          )
        },
      ),
    )
  })
})

describe('formatDuration', () => {
  test.each([
    [0, '0ms'],
    [1, '1ms'],
    [999.6, '1s'],
    [1500, '1s500ms'],
    [5_400_000, '1h30m'],
    [90_061_001, '1d1h1m1s1ms'],
  ])('writes %d ms as %s', (ms, expected) => {
    expect(formatDuration(ms)).toBe(expected)
  })

  test.each([-1, Number.NaN, Infinity, 2 ** 53])('refuses %d', (ms) => {
    expect(() => formatDuration(ms)).toThrow(
      new RangeError(`durationMs must lie between 0 and 9007199254740991, got ${ms}`),
    )
  })
})

describe('parseBytes', () => {
  test.each([
    ['64mb', 67_108_864],
    ['64MiB', 67_108_864],
    ['1.5 GB', 1_610_612_736],
    ['512kb', 524_288],
    ['1tib', 1_099_511_627_776],
    ['1pb', 1_125_899_906_842_624],
    ['12b', 12],
    ['0', 0],
    [4096, 4096],
  ])('reads %j as %d bytes', (input, expected) => {
    expect(parseBytes(input)).toBe(expected)
  })

  test.each(['64m', '64', '1mb1kb', '1.0001kb', 'mb', '-1kb'])('refuses %j', (input) => {
    expect(() => parseBytes(input)).toThrow(TypeError)
  })

  test('a size outside the limits is refused with the limits', () => {
    expect(() => parseBytes('1mb', { minBytes: 1024, maxBytes: 2048 })).toThrow(
      new RangeError('a size must lie between 1KiB and 2KiB; got one above 2KiB'),
    )
    expect(() => parseBytes(10, { minBytes: 1024 })).toThrow(/got one below 1KiB/)
  })

  test('what formatBytes writes is read back as it was', () => {
    const roundSize = fc
      .tuple(fc.nat(4096), fc.constantFrom(1, 512, 1024, 1024 ** 2, 1024 ** 3))
      .map(([count, size]) => count * size)
    fc.assert(
      fc.property(fc.oneof(wholeNumber, roundSize), (size) => {
        expect(parseBytes(formatBytes(size))).toBe(size)
      }),
    )
  })
})

describe('formatBytes', () => {
  test.each([
    [0, '0B'],
    [1023, '1023B'],
    [1024, '1KiB'],
    [1536, '1.5KiB'],
    [67_108_864, '64MiB'],
    [1_234_567, '1234567B'],
    [2 ** 50, '1PiB'],
  ])('writes %d exactly as %s', (size, expected) => {
    expect(formatBytes(size)).toBe(expected)
  })

  test('rounds to significant digits for people', () => {
    expect(formatBytes(1_234_567, { significantDigits: 3 })).toBe('1.18MiB')
    expect(formatBytes(0, { significantDigits: 3 })).toBe('0B')
    fc.assert(
      fc.property(wholeNumber, fc.integer({ min: 2, max: 6 }), (size, significantDigits) => {
        const [, digits = '', unit = ''] =
          /^([\d.]+)([A-Z]i?B?)$/i.exec(formatBytes(size, { significantDigits })) ?? []
        const near = Number(digits) * parseBytes(`1${unit}`)
        expect(Math.abs(near - size)).toBeLessThanOrEqual(size * 10 ** (1 - significantDigits))
      }),
    )
  })

  test.each([-1, 0.5, Number.NaN])('refuses %d', (size) => {
    expect(() => formatBytes(size)).toThrow(/^sizeBytes must be a whole number from 0 to/)
  })

  test.each([0, 16, 1.5])('refuses %d significant digits', (significantDigits) => {
    expect(() => formatBytes(1, { significantDigits })).toThrow(
      new RangeError(
        `significantDigits must be a whole number from 1 to 15, got ${significantDigits}`,
      ),
    )
  })
})

function outcomeOf(text: string): string {
  try {
    const ms = parseDuration(text)
    return Number.isSafeInteger(ms) && ms >= 0 ? 'a whole number' : String(ms)
  } catch (error) {
    return error instanceof Error ? error.name : 'not an error'
  }
}
