import { PostgresManager, type BadRow } from '@dharma/database/postgres'
import { createPostgresDatabase } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'

/** For each type: a value at the edge of what it holds, and how the server writes what it then has. */
const EDGES: Readonly<Record<string, readonly (readonly [value: unknown, text: string])[]>> = {
  int2: [
    [-32_768, '-32768'],
    ['32767', '32767'],
  ],
  int4: [
    [-2_147_483_648, '-2147483648'],
    [2_147_483_647, '2147483647'],
  ],
  int8: [
    [-(2n ** 63n), '-9223372036854775808'],
    ['9223372036854775807', '9223372036854775807'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [-9_007_199_254_740_993n, '-9007199254740993'],
    [-1, '-1'],
  ],
  oid: [
    [0, '0'],
    [4_294_967_295, '4294967295'],
  ],
  float4: [
    [3.402_823_466_385_288_6e38, '3.4028235e+38'],
    [1e-45, '1e-45'],
    [-0, '-0'],
    [0.1, '0.1'],
    [Number.NaN, 'NaN'],
    ['-Infinity', '-Infinity'],
  ],
  float8: [
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
    [Number.MIN_VALUE, '5e-324'],
    [-0, '-0'],
    [' 1.5 ', '1.5'],
  ],
  numeric: [
    ['-0.0', '0.0'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['+1e5', '100000'],
    ['1e-9', '0.000000001'],
    ['9999.9999', '9999.9999'],
    ['10000', '10000'],
    ['12345678901234567890.00010', '12345678901234567890.00010'],
    [10n ** 40n, `1${'0'.repeat(40)}`],
    [1e21, `1${'0'.repeat(21)}`],
    [0.1, '0.1'],
    ['-Infinity', '-Infinity'],
    [Number.NaN, 'NaN'],
  ],
  date: [
    ['2000-01-01', '2000-01-01'],
    ['1999-12-31', '1999-12-31'],
    ['2000-02-29', '2000-02-29'],
    ['0001-01-01', '0001-01-01'],
    ['0001-12-31 BC', '0001-12-31 BC'],
    ['4714-11-24 BC', '4714-11-24 BC'],
    ['200000-01-01', '200000-01-01'],
    [new Date(2024, 1, 29, 23, 59, 59, 999), '2024-02-29'],
    [Infinity, 'infinity'],
    ['-infinity', '-infinity'],
  ],
  time: [
    ['00:00', '00:00:00'],
    ['12:30:01.5', '12:30:01.5'],
    ['23:59:59.999999', '23:59:59.999999'],
    ['24:00:00', '24:00:00'],
  ],
  timestamptz: [
    [new Date(0), '1970-01-01 00:00:00+00'],
    [new Date(-1), '1969-12-31 23:59:59.999+00'],
    [946_684_799_999, '1999-12-31 23:59:59.999+00'],
    ['1999-12-31T23:59:59.999999Z', '1999-12-31 23:59:59.999999+00'],
    ['2026-01-31 12:00+05:30', '2026-01-31 06:30:00+00'],
    ['2026-01-31 23:45-0030', '2026-02-01 00:15:00+00'],
    ['0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'],
    ['2026-12-31 24:00:00Z', '2027-01-01 00:00:00+00'],
    ['-infinity', '-infinity'],
  ],
  timestamp: [
    ['0001-01-01 00:00:00.000001', '0001-01-01 00:00:00.000001'],
    [new Date(1999, 11, 31, 23, 59, 59, 999), '1999-12-31 23:59:59.999'],
    [Infinity, 'infinity'],
  ],
  inet: [
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255', '255.255.255.255'],
    ['10.0.0.1/8', '10.0.0.1/8'],
    ['::', '::'],
    ['::1.2.3.4', '::1.2.3.4'],
    ['::ffff:102:304', '::ffff:1.2.3.4'],
    ['1:0:0:2::', '1:0:0:2::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:2:3:4:5:6:0:8', '1:2:3:4:5:6:0:8'],
    ['FE80::/10', 'fe80::/10'],
  ],
  cidr: [
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['::/0', '::/0'],
  ],
}

/** What each type refuses, as the server would. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  int2: [32_768, -32_769, 1.5, '1.5', true],
  int4: [2 ** 31, Number.NaN, '', '0x10'],
  int8: [2n ** 63n, -(2n ** 63n) - 1n, 2 ** 53, '1e3'],
  oid: [-1, 2 ** 32],
  float4: [1e39, -1e39, '1e-50', 'x', '', true],
  float8: ['1,5', '', new Date(0)],
  numeric: [
    '',
    '.',
    '-',
    '1e',
    '1.2.3',
    'abc',
    `1${'0'.repeat(131_072)}`,
    `.${'1'.repeat(16_384)}`,
  ],
  date: ['2023-02-29', '1900-02-29', '0000-01-01', '2024-13-01', '24-01-01', new Date(Number.NaN)],
  time: ['24:00:01', '24:00:00.1', '12:60', '1:00', 'noon'],
  timestamptz: ['2026-01-31T12:00:00', '2026-02-30T12:00:00Z', new Date(Number.NaN), 'now', {}],
  timestamp: ['2026-01-31T12:00:00Z', '2026-01-31', 0],
  inet: [
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/8/9',
    '1.2.3.4/0x8',
    '::/129',
    'fe80::1%lo',
    5,
  ],
  cidr: ['10.0.0.1/8', '::1/64', ''],
}

describeWithPostgres('COPY in binary at the edges', () => {
  let database: PostgresManager
  let drop: () => Promise<void>

  beforeAll(async () => {
    const fresh = await createPostgresDatabase(inject('postgresUrl'))
    drop = () => fresh.drop()
    const url = new URL(fresh.url)
    url.searchParams.set('options', '-c timezone=UTC')
    database = await new PostgresManager({ url: url.href }).connect()
    for (const type of Object.keys(EDGES)) {
      await database.query(`create table edges_${type} (i int, v ${type})`)
    }
  })

  afterAll(async () => {
    await database.close()
    await drop()
  })

  it.each(Object.entries(EDGES))('carries %s exactly, in and out', async (type, edges) => {
    const rows = edges.map(([v], i) => ({ i, v }))
    expect(await database.copyInto(`edges_${type}`, rows)).toMatchObject({ format: 'binary' })
    const { rows: stored } = await database.query<{ text: string }>(
      `select format('%s', v) as text from edges_${type} order by i`,
    )
    expect(stored.map(({ text }) => text)).toEqual(edges.map(([, text]) => text))
    const query = { text: `select i, v from edges_${type} order by i`, values: [] }
    const out = await Array.fromAsync(
      database.copyOut<{ i: number; v: unknown }>(query, { format: 'binary' }),
    )
    // What a SELECT gives, and what can be written again.
    expect(out).toEqual((await database.query(query)).rows)
    await database.query(`truncate edges_${type}`)
    await database.copyInto(`edges_${type}`, out)
    const again = await database.query(
      `select format('%s', v) as text from edges_${type} order by i`,
    )
    expect(again.rows).toEqual(stored.map(({ text }) => ({ text: lessExact(type, text) })))
    await database.query(`truncate edges_${type}`)
  })

  /** A `Date` holds milliseconds. */
  function lessExact(type: string, text: string): string {
    return type.startsWith('timestamp')
      ? text.replace(/(\.\d{3})\d+/, '$1').replace('.000', '')
      : text
  }

  it.each(Object.entries(REFUSED))('refuses what no %s holds, by row', async (type, values) => {
    const bad: BadRow[] = []
    const result = await database.copyInto(
      `edges_${type}`,
      values.map((v, i) => ({ i, v })),
      { format: 'binary', onBadRow: (row) => bad.push(row) },
    )
    expect(bad.map(({ index, column }) => [index, column])).toEqual(
      values.map((_, index) => [index, 'v']),
    )
    expect(result).toMatchObject({ rows: 0, badRows: values.length })
  })
})
