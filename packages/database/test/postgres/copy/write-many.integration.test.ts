import type { PostgresManager } from '@dharma/database/postgres'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { PostsBed } from './posts-bed.ts'

describeWithPostgres('writing many rows', () => {
  const bed = new PostsBed(inject('postgresUrl'), 'write_many_test')
  const { schema, posts } = bed
  let database: PostgresManager

  beforeAll(() => {
    database = bed.database
  })

  describe('upsertMany', () => {
    const conflictColumns = ['id']

    it('inserts what is new and updates what is there, and counts both', async () => {
      await bed.fill(2)
      const rows = [2, 3, 4].map((id) => ({ id, body: `new ${id}` }))
      expect(await database.upsertMany(posts, rows, { conflictColumns })).toEqual({
        inserted: 2,
        updated: 1,
        skipped: 0,
        badRows: 0,
      })
      expect((await bed.all()).slice(1)).toEqual(rows)
    })

    it('leaves rows there already alone with nothing', async () => {
      await bed.fill(1)
      const rows = [1, 2, 2].map((id, at) => ({ id, body: `new ${at}` }))
      const options = { conflictColumns, onConflict: 'nothing' } as const
      expect(await database.upsertMany(posts, rows, options)).toMatchObject({
        inserted: 1,
        updated: 0,
        skipped: 2,
      })
      expect((await bed.all())[1]).toEqual({ id: 2, body: 'new 1' })
    })

    it.each([
      ['last', undefined, 'c'],
      ['first', 'first', 'a'],
    ] as const)('lets the %s of the rows with one key count', async (_, onDuplicate, body) => {
      const rows = ['a', 'b', 'c'].map((text) => ({ id: 1, body: text }))
      expect(
        await database.upsertMany(posts, rows, { conflictColumns, onDuplicate }),
      ).toMatchObject({ inserted: 1, skipped: 2 })
      expect(await bed.all()).toEqual([{ id: 1, body }])
    })

    it('names the first row too many with reject, past rows left out', async () => {
      const rows = [{ id: 1 }, { id: 'x' }, { id: 2 }, { id: 1 }]
      await expect(
        database.upsertMany(posts, rows, {
          conflictColumns,
          onDuplicate: 'reject',
          onBadRow: () => {},
        }),
      ).rejects.toMatchObject({ rowIndex: 3, column: 'id' })
      expect(await bed.all()).toEqual([])
      const fine = await database.upsertMany(posts, [{ id: 1 }, { id: 2 }], {
        conflictColumns,
        onDuplicate: 'reject',
      })
      expect(fine.inserted).toBe(2)
    })

    it('holds keys with a null apart, unless the index does not', async () => {
      const rows = [1, 2].map((id) => ({ id, code: null }))
      const options = { conflictColumns: ['code'] }
      expect(await database.upsertMany(posts, rows, options)).toMatchObject({ inserted: 2 })
      await database.query(
        `create table ${schema}.equal (id int, code text, unique nulls not distinct (code))`,
      )
      expect(await database.upsertMany(`${schema}.equal`, rows, options)).toMatchObject({
        inserted: 1,
        skipped: 1,
      })
    })

    it('updates only the columns asked for', async () => {
      await bed.fill(1)
      const rows = [{ id: 1, body: 'kept out', likes: 9 }]
      await database.upsertMany(posts, rows, { conflictColumns, updateColumns: ['likes'] })
      const { rows: now } = await database.query(
        `select likes, body <> 'kept out' as kept from ${posts}`,
      )
      expect(now).toEqual([{ likes: 9, kept: true }])
    })

    it('has nothing to update where only the key is written', async () => {
      await bed.fill(1)
      expect(
        await database.upsertMany(posts, [{ id: 1 }, { id: 2 }], { conflictColumns }),
      ).toMatchObject({ inserted: 1, updated: 0, skipped: 1 })
    })

    it('is part of its transaction, twice too, and undone with it', async () => {
      const rows = [{ id: 1, body: 'a' }]
      await database.transaction(async (transaction) => {
        await transaction.upsertMany(posts, rows, { conflictColumns })
        const again = await transaction.upsertMany(posts, rows, { conflictColumns })
        expect(again).toMatchObject({ updated: 1 })
      })
      const undone = database.transaction(async (transaction) => {
        await transaction.upsertMany(posts, [{ id: 2 }], { conflictColumns })
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      expect(await bed.all()).toEqual(rows)
    })

    it('refuses columns that do not fit, and does nothing for no rows', async () => {
      const upsert = (options: object): Promise<object> => {
        return database.upsertMany(posts, [{ id: 1 }], options as never)
      }
      await expect(upsert({ conflictColumns: [] })).rejects.toThrow('conflictColumns must name')
      await expect(upsert({ conflictColumns: ['code'] })).rejects.toThrow(
        'conflictColumns names code',
      )
      await expect(upsert({ conflictColumns, updateColumns: ['body'] })).rejects.toThrow(
        'updateColumns names body',
      )
      expect(await database.upsertMany(posts, [], { conflictColumns })).toMatchObject({
        inserted: 0,
      })
      await expect(
        database.upsertMany(posts, [{ body: 'x', id: 1 }], { conflictColumns: ['body'] }),
      ).rejects.toMatchObject({ sqlState: '42P10' })
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })
  })

  describe('insertMany', () => {
    const rowsOf = (count: number): { id: number; body: string | null }[] => {
      return Array.from({ length: count }, (_, id) => ({
        id,
        body: id % 3 === 0 ? null : `b ${id}`,
      }))
    }

    it.each([
      [1, 'unnest'],
      [49, 'unnest'],
      [50, 'copy'],
      [3000, 'copy'],
    ])('stores %i rows by %s', async (count, method) => {
      const rows = rowsOf(count)
      expect(await database.insertMany(posts, rows)).toEqual({ rowCount: count, rows: [], method })
      expect(await bed.all()).toEqual(rows)
      await database.query(`truncate ${posts}`)
      async function* source(): AsyncGenerator<object> {
        yield* rows
      }
      expect(await database.insertMany(posts, source())).toMatchObject({ rowCount: count, method })
      expect(await bed.all()).toEqual(rows)
    })

    it('returns columns of the rows stored, in their order, over several statements', async () => {
      const rows = rowsOf(5_000)
      const result = await database.insertMany(posts, rows, { returning: ['id', 'likes'] })
      expect(result.method).toBe('unnest')
      expect(result.rows).toEqual(rows.map(({ id }) => ({ id, likes: 0 })))
      const one = await database.insertMany(posts, [[5_000]], { columns: ['id'], returning: ['*'] })
      expect(one.rows).toEqual([{ id: 5_000, body: null, likes: 0, code: null }])
    })

    it('stores nothing when a later batch fails', async () => {
      const rows = [...rowsOf(2_500), { id: 1, body: 'again' }]
      await expect(database.insertMany(posts, rows, { method: 'unnest' })).rejects.toMatchObject({
        sqlState: '23505',
      })
      expect(await bed.all()).toEqual([])
    })

    it('carries values of all kinds through text', async () => {
      await database.query(
        `create table ${schema}.kinds (id int generated always as identity primary key, a int[], b bytea,
           c char(3), n numeric(6, 2), j jsonb, t timestamptz, f bit(3))`,
      )
      const row = {
        id: 5,
        a: [
          [1, null],
          [3, 4],
        ],
        b: Buffer.from([0, 255]),
        c: 'ab',
        n: '1.005',
        j: { x: [null, 'ä'] },
        t: new Date(1.7e12),
        f: '101',
      }
      const { rows } = await database.insertMany(`${schema}.kinds`, [row], { returning: ['*'] })
      expect(rows).toEqual([{ ...row, c: 'ab ', n: '1.01' }])
      await expect(database.insertMany(`${schema}.kinds`, [{ c: 'abcd' }])).rejects.toMatchObject({
        sqlState: '22001',
      })
    })

    it.each([
      [[{ id: 1 }, { id: 2, extra: 1 }], 1, undefined],
      [[{ id: 1 }, 'no row'], 1, undefined],
      [[[1, 'a', 0, 'c'], [1]], 1, undefined],
      [
        [
          { id: 1, body: 'a' },
          { id: 2, body: 'a\0b' },
        ],
        1,
        'body',
      ],
      [[{ id: 1, body: Symbol('s') }], 0, 'body'],
    ])('names row and column of what cannot be written: %#', async (rows, rowIndex, column) => {
      await expect(database.insertMany(posts, rows as never)).rejects.toMatchObject({
        rowIndex,
        column,
      })
    })

    it('refuses COPY with returning, and does nothing for no rows', async () => {
      await expect(
        database.insertMany(posts, [{ id: 1 }], { method: 'copy', returning: ['id'] }),
      ).rejects.toThrow("method 'copy' cannot be with returning")
      expect(await database.insertMany(posts, [])).toMatchObject({ rowCount: 0 })
      const copied = await database.insertMany(posts, [{ id: 1 }], { method: 'copy' })
      expect(copied).toMatchObject({ rowCount: 1, method: 'copy' })
    })
  })
})
