import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { sql, type PostgresManager } from '@dharma/database/postgres'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { PostsBed } from './posts-bed.ts'

describeWithPostgres('COPY out', () => {
  const bed = new PostsBed(inject('postgresUrl'), 'copy_out_test')
  const { schema, posts } = bed
  let database: PostgresManager

  beforeAll(() => {
    database = bed.database
  })

  describe('copyOut', () => {
    it('reads a query with parameters, each as a value of its own type', async () => {
      await bed.fill(3)
      const nasty = `x'; drop table ${posts}; -- \\' $1`
      const query = sql`select id, ${nasty} as "$1;", '$2;' as b, ${null}::int as n /* $3 /* ; */ */
        from copy_out_test.posts where id = any(${[1, 3]}) and likes < ${5} order by id; -- $4`
      expect(await Array.fromAsync(database.copyOut(query))).toEqual([
        { id: 1, '$1;': nasty, b: '$2;', n: null },
        { id: 3, '$1;': nasty, b: '$2;', n: null },
      ])
    })

    it.each([
      [{ text: 'select 1; drop table x', values: [] }, 'one statement'],
      [{ text: 'select $2::int', values: [1] }, 'no value for $2'],
      ['posts where true', 'table must be a name'],
    ])('refuses %j', async (source, message) => {
      await expect(Array.fromAsync(database.copyOut(source))).rejects.toThrow(message)
    })

    it('says which columns there are, and what binary cannot carry', async () => {
      const columns = ['idd']
      await expect(Array.fromAsync(database.copyOut(posts, { columns }))).rejects.toThrow(
        'idd, which copy_out_test.posts does not have; there are id, body, likes, code',
      )
      const query = sql`select interval '1 day' as i`
      await expect(Array.fromAsync(database.copyOut(query, { format: 'binary' }))).rejects.toThrow(
        'column i has no binary form',
      )
      await expect(Array.fromAsync(database.copyOut(query, { columns }))).rejects.toThrow(
        'columns must not be given',
      )
    })

    it('leaves its session usable when the loop ends early, and when it throws', async () => {
      await bed.fill(50_000)
      for await (const row of database.copyOut(posts)) {
        expect(row).toMatchObject({ likes: 0 })
        break
      }
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      const rows = database.copyOut(posts)
      await rows.next()
      await expect(rows.throw(new Error('enough'))).rejects.toThrow('enough')
      expect(await rows.next()).toEqual({ value: undefined, done: true })
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      expect(database.stats().size).toBe(1)
    })

    it('gives rows asked for at once in their order, with progress', async () => {
      await bed.fill(20_000)
      const seen: number[] = []
      await using rows = database.copyOut<{ id: number }>(
        sql`select id from copy_out_test.posts order by id`,
        {
          onProgress: ({ rows: count }) => seen.push(count),
        },
      )
      const three = await Promise.all([rows.next(), rows.next(), rows.next()])
      expect(three.map(({ value }) => value?.id)).toEqual([1, 2, 3])
      const rest = await Array.fromAsync(rows)
      expect(rest.length).toBe(19_997)
      expect(seen.at(-1)).toBe(20_000)
    })

    it('ends with the signal’s reason, before and during', async () => {
      await bed.fill(50_000)
      const early = AbortSignal.abort(new Error('too early'))
      await expect(Array.fromAsync(database.copyOut(posts, { signal: early }))).rejects.toThrow(
        'too early',
      )
      const abort = new AbortController()
      const rows = database.copyOut(posts, { signal: abort.signal })
      await rows.next()
      abort.abort(new Error('enough'))
      await expect(Array.fromAsync(rows)).rejects.toThrow('enough')
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })

    it('ends at its deadline while the server computes', async () => {
      const slow = sql`select 1 as one, pg_sleep(20)::text`
      await expect(
        Array.fromAsync(database.copyOut(slow, { timeoutMs: 200 })),
      ).rejects.toMatchObject({ code: 'DHARMA_POSTGRES_TIMEOUT', timeoutMs: 200 })
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })

    it('passes on what the server says in the middle of the rows', async () => {
      const query = sql`select 10 / (5000 - i) from generate_series(1, 10000) i`
      await expect(Array.fromAsync(database.copyOut(query))).rejects.toMatchObject({
        sqlState: '22012',
      })
    })

    it('puts a value of many chunks together', async () => {
      const query = sql`select repeat('ä', 3000000) as big, 1 as one from generate_series(1, 2)`
      for (const format of ['binary', 'text'] as const) {
        const rows = await Array.fromAsync(database.copyOut<{ big: string }>(query, { format }))
        expect(rows.map(({ big }) => big.length)).toEqual([3_000_000, 3_000_000])
      }
    })

    it('lets a transaction live on when a loop in it ends early', async () => {
      await bed.fill(20_000)
      await database.transaction(async (transaction) => {
        for await (const row of transaction.copyOut(posts)) {
          expect(row).toBeDefined()
          await expect(transaction.query('select 1')).rejects.toThrow('a COPY is under way')
          break
        }
        await transaction.query(`update ${posts} set body = 'done' where id = 1`)
      })
      expect((await bed.all())[0]).toEqual({ id: 1, body: 'done' })
    })

    it('reads a table without columns or rows', async () => {
      await database.query(`create table ${schema}.none ()`)
      expect(await Array.fromAsync(database.copyOut(`${schema}.none`))).toEqual([])
      expect(await Array.fromAsync(database.copyOut(posts))).toEqual([])
    })
  })

  describe('copyOutTo', () => {
    async function textOf(stream: PassThrough): Promise<string> {
      return (await Array.fromAsync(stream as AsyncIterable<Buffer>)).join('')
    }

    it('writes CSV with a header, and ends the stream', async () => {
      await bed.fill(2)
      const target = new PassThrough()
      const options = { format: 'csv', header: true, columns: ['id', 'likes'] } as const
      const [result, text] = await Promise.all([
        database.copyOutTo(posts, target, options),
        textOf(target),
      ])
      expect(result).toEqual({ rows: 2, bytes: text.length })
      expect(text).toBe('id,likes\n1,0\n2,0\n')
    })

    it('waits for a slow stream', async () => {
      await bed.fill(20_000)
      let isWriting = false
      let bytes = 0
      const target = new Writable({
        write(chunk: Buffer, _encoding, done) {
          expect(isWriting).toBe(false)
          isWriting = true
          setImmediate(() => {
            isWriting = false
            bytes += chunk.length
            done()
          })
        },
      })
      const result = await database.copyOutTo(posts, target, { end: false })
      target.end()
      await once(target, 'finish')
      expect(result).toEqual({ rows: 20_000, bytes })
    })

    it('fails with the stream, and with the server', async () => {
      await bed.fill(20_000)
      const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk')) })
      await expect(database.copyOutTo(posts, failing)).rejects.toThrow('disk')
      const target = new PassThrough()
      target.resume()
      target.on('error', () => {})
      await expect(database.copyOutTo(sql`select 1 / 0`, target)).rejects.toMatchObject({
        sqlState: '22012',
      })
      expect(target.destroyed).toBe(true)
      const closed = new PassThrough()
      closed.resume()
      closed.end()
      await once(closed, 'finish')
      closed.on('error', () => {})
      await expect(database.copyOutTo(posts, closed)).rejects.toThrow('the stream ended before')
      expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })
  })

  it('takes intervals as pg gives them, and dates before Christ by the local calendar', async () => {
    await database.query(`create table ${schema}.times (i interval, d date, t timestamp)`)
    const query = sql`select interval '1 day 2 hours' as i`
    const [read] = await Array.fromAsync(database.copyOut<{ i: unknown }>(query))
    const year = new Date(2000, 2, 15)
    year.setFullYear(-43)
    await database.copyInto(`${schema}.times`, [{ i: read?.i, d: year, t: Infinity }])
    const { rows } = await database.query(`select i::text, d::text, t::text from ${schema}.times`)
    expect(rows).toEqual([{ i: '1 day 02:00:00', d: '0044-03-15 BC', t: 'infinity' }])
  })
})
