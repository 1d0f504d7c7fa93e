import {
  CopyRowError,
  PostgresManager,
  type BadRow,
  type CopyFormat,
} from '@dharma/database/postgres'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'

const url = inject('postgresUrl')
const schema = 'copy_into_test'
const FORMATS: readonly CopyFormat[] = ['binary', 'text']

/** Strings that PostgreSQL can store: any but those with a zero character or half a pair. */
const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', '').toWellFormed())
const json = fc
  .jsonValue()
  .map((value) => JSON.parse(JSON.stringify(value).replaceAll(String.raw`\u0000`, '')) as unknown)
  // JSON null is a value in JSON and no value in SQL; jsonb has no -0.
  .filter((value) => value !== null && !JSON.stringify(value).includes('-0'))
const micros = fc.date({
  min: new Date('0100-01-01T00:00:00Z'),
  max: new Date('9999-12-31T23:59:59Z'),
  noInvalidDate: true,
})
const address = fc.oneof(fc.ipV4(), fc.ipV6())
const digits = (max: number): fc.Arbitrary<string> => {
  return fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: max }).map((all) => all.join(''))
}
const decimal = fc
  .tuple(fc.constantFrom('', '-'), fc.integer({ min: 0, max: 9 }), digits(40), digits(40))
  .map(([sign, first, whole, fraction]) => `${sign}${first}${whole}${fraction && `.${fraction}`}`)

/** A type, its values, and what the server reads them as: compared with a cast of the value's own text. */
const TYPES: Readonly<
  Record<string, { values: fc.Arbitrary<unknown>; asText: (value: never) => string }>
> = {
  boolean: { values: fc.boolean(), asText: String },
  int2: { values: fc.integer({ min: -32_768, max: 32_767 }), asText: String },
  int4: { values: fc.integer(), asText: String },
  int8: {
    values: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger()),
    asText: String,
  },
  float8: {
    values: fc.double(),
    asText: (value: number) => (Object.is(value, -0) ? '-0' : String(value)),
  },
  numeric: { values: decimal, asText: String },
  text: { values: text, asText: String },
  bytea: {
    values: fc.uint8Array(),
    asText: (value: Uint8Array) => `\\x${Buffer.from(value).toString('hex')}`,
  },
  uuid: { values: fc.uuid(), asText: String },
  timestamptz: { values: micros, asText: (value: Date) => value.toISOString() },
  date: {
    values: micros.map((date) => date.toISOString().slice(0, 10)),
    asText: String,
  },
  jsonb: { values: json, asText: (value: unknown) => JSON.stringify(value) },
  inet: { values: address, asText: String },
  'int4[]': {
    values: fc.array(fc.option(fc.integer())),
    asText: (value: (number | null)[]) => `{${value.map((one) => one ?? 'NULL').join(',')}}`,
  },
  'text[]': {
    values: fc.array(text),
    asText: (value: string[]) => {
      return `{${value.map((one) => `"${one.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(',')}}`
    },
  },
  mood: { values: fc.constantFrom('sad', 'ok', 'größer'), asText: String },
  positive: { values: fc.integer({ min: 1 }), asText: String },
}

describeWithPostgres('copyInto', () => {
  let database: PostgresManager

  beforeAll(async () => {
    database = await new PostgresManager({ url }).connect()
    await database.query(`drop schema if exists ${schema} cascade`)
    await database.query(`create schema ${schema}`)
    await database.query(`create type ${schema}.mood as enum ('sad', 'ok', 'größer')`)
    await database.query(`create domain ${schema}.positive as int check (value > 0)`)
    await database.query(
      `create table ${schema}.posts (id int primary key, body text not null, likes int default 0)`,
    )
  })

  afterAll(async () => {
    await database.query(`drop schema ${schema} cascade`)
    await database.close()
  })

  describe.each(FORMATS)('in %s', (format) => {
    it.each(Object.entries(TYPES))(
      'stores %s as the server reads its text',
      async (type, { values, asText }) => {
        const name = `${schema}.types_${type.replaceAll('[]', '_array')}_${format}`
        const sqlType = type === 'mood' || type === 'positive' ? `${schema}.${type}` : type
        await database.query(`create table ${name} (i int, v ${sqlType})`)
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.option(values), { minLength: 1, maxLength: 50 }),
            async (sample) => {
              await database.query(`truncate ${name}`)
              const rows = sample.map((value, i) => ({ i, v: value }))
              const result = await database.copyInto(name, rows, { format })
              expect(result).toMatchObject({ rows: sample.length, format, badRows: 0 })
              const expected = sample.map((value) =>
                value === null ? null : asText(value as never),
              )
              const { rows: wrong } = await database.query(
                `select i, v::text as stored, (e.text::${sqlType})::text as wanted
             from ${name} join unnest($1::text[]) with ordinality e(text, n) on n = i + 1
             where v::text is distinct from (e.text::${sqlType})::text`,
                [expected],
              )
              expect(wrong).toEqual([])
            },
          ),
          { numRuns: 25 },
        )
      },
    )

    it('stores nothing when a row cannot be encoded, and names row and column', async () => {
      const rows = [
        { id: 1, body: 'a' },
        { id: 'secret', body: 'b' },
      ]
      const failure = await database
        .copyInto(`${schema}.posts`, rows, { format: 'binary' })
        .catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(CopyRowError)
      expect(failure).toMatchObject({ code: 'DHARMA_POSTGRES_COPY_ROW', rowIndex: 1, column: 'id' })
      expect(String(failure)).not.toContain('secret')
      expect((await database.query(`select * from ${schema}.posts`)).rows).toEqual([])
    })

    it('names the row that the server refuses', async () => {
      const rows = [1, 2, 3, 2, 4].map((id) => ({ id, body: 'x' }))
      await expect(database.copyInto(`${schema}.posts`, rows, { format })).rejects.toMatchObject({
        rowIndex: 3,
        cause: { sqlState: '23505' },
      })
    })
  })

  it('gives bad rows to onBadRow and stores the others', async () => {
    const bad: [BadRow, unknown][] = []
    const rows = [{ id: 1, body: 'a' }, { id: 2.5, body: 'b' }, { id: 3, body: 'c' }, 'no row']
    const result = await database.copyInto(`${schema}.posts`, rows as never, {
      onBadRow: (reason, row) => bad.push([reason, row]),
    })
    expect(result).toMatchObject({ rows: 2, badRows: 2 })
    expect(bad.map(([{ index, column }, row]) => [index, column, row])).toEqual([
      [1, 'id', rows[1]],
      [3, 'id', 'no row'],
    ])
    await database.query(`truncate ${schema}.posts`)
  })

  it('leads the line of a server error back to the caller’s row past rows left out', async () => {
    const rows = [{ id: 'x' }, { id: 1 }, { id: 'y' }, { id: 1 }].map((row) => ({
      ...row,
      body: '',
    }))
    await expect(
      database.copyInto(`${schema}.posts`, rows, { onBadRow: () => {} }),
    ).rejects.toMatchObject({ rowIndex: 3 })
  })

  it('leaves columns that no row has to their defaults', async () => {
    await database.copyInto(`${schema}.posts`, [{ id: 7, body: 'x' }])
    const { rows } = await database.query(`select likes from ${schema}.posts where id = 7`)
    expect(rows).toEqual([{ likes: 0 }])
    await database.query(`truncate ${schema}.posts`)
  })

  it('refuses a later row with a field that the first one did not have', async () => {
    const rows = [
      { id: 1, body: 'a' },
      { id: 2, body: 'b', likes: 5 },
    ]
    await expect(database.copyInto(`${schema}.posts`, rows)).rejects.toMatchObject({ rowIndex: 1 })
  })

  it('takes arrays in the order of the columns given', async () => {
    const columns = ['body', 'id']
    await database.copyInto(`${schema}.posts`, [['hello', 1]], { columns })
    expect((await database.query(`select id, body from ${schema}.posts`)).rows).toEqual([
      { id: 1, body: 'hello' },
    ])
    await database.query(`truncate ${schema}.posts`)
  })

  it('stores rows of an async source larger than any buffer, with progress', async () => {
    async function* source(): AsyncGenerator<{ id: number; body: string }> {
      for (let id = 0; id < 20_000; id++) yield { id, body: 'b'.repeat(50) }
    }
    const seen: number[] = []
    const result = await database.copyInto(`${schema}.posts`, source(), {
      onProgress: ({ rows }) => seen.push(rows),
    })
    expect(result.rows).toBe(20_000)
    expect(seen.at(-1)).toBe(20_000)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    await database.query(`truncate ${schema}.posts`)
  })

  it('stores nothing when its source throws, and ends with that error', async () => {
    function* source(): Generator<{ id: number; body: string }> {
      yield { id: 1, body: 'a' }
      throw new Error('the file ended early')
    }
    await expect(database.copyInto(`${schema}.posts`, source())).rejects.toThrow(
      'the file ended early',
    )
    expect((await database.query(`select * from ${schema}.posts`)).rows).toEqual([])
  })

  it('stores nothing when its signal aborts, and leaves the session usable', async () => {
    await using one = new PostgresManager({ url, pool: { max: 1 } })
    const abort = new AbortController()
    async function* source(): AsyncGenerator<{ id: number; body: string }> {
      for (let id = 0; ; id++) {
        if (id === 5_000) abort.abort(new Error('enough'))
        yield { id, body: 'b'.repeat(100) }
      }
    }
    await expect(
      one.copyInto(`${schema}.posts`, source(), { signal: abort.signal }),
    ).rejects.toThrow('enough')
    expect((await one.query(`select * from ${schema}.posts`)).rows).toEqual([])
  })

  it('does nothing for no rows', async () => {
    expect(await database.copyInto(`${schema}.posts`, [])).toMatchObject({ rows: 0 })
  })

  it.each(['posts; drop table posts', '', 'a.b.c.d', '"'])(
    'refuses the table name %j',
    async (name) => {
      await expect(database.copyInto(name, [{ id: 1 }])).rejects.toThrow('table must be a name')
    },
  )

  it('names the columns there are when one does not exist', async () => {
    await expect(database.copyInto(`${schema}.posts`, [{ id: 1, boddy: 'x' }])).rejects.toThrow(
      /boddy: is no column that can be written; there are id, body, likes/,
    )
  })

  it('is part of the transaction that it is called in', async () => {
    const undone = database.transaction(async (transaction) => {
      await transaction.copyInto(`${schema}.posts`, [{ id: 1, body: 'a' }])
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
    expect((await database.query(`select * from ${schema}.posts`)).rows).toEqual([])
  })
})
