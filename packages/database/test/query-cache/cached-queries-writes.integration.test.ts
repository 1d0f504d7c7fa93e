import { PostgresManager, PostgresQueryError } from '@dharma/database/postgres'
import { CachedQueries } from '@dharma/database/query-cache'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { describe, expect, it } from 'vitest'
import { cachedQueriesBed, ttl } from './cached-queries-bed.ts'

describeWithPostgres.each([15, 18])('CachedQueries under writes, PostgreSQL %i', (version) => {
  const bed = cachedQueriesBed(version)
  const { schema, rows, isLoaded, forgottenBy } = bed

  describe('in transactions', () => {
    const text = 'select name from tags where id = 1'

    it('drops after COMMIT, not before', async () => {
      await rows(text)
      await bed.database.transaction(async (transaction) => {
        await transaction.query(`update tags set name = 'blue' where id = 1`)
        expect(await isLoaded(text)).toBe(false)
        expect(await rows(text)).toEqual([{ name: 'red' }])
      })
      expect(await rows(text)).toEqual([{ name: 'blue' }])
    })

    it('drops nothing after a rollback, of the whole or to a savepoint', async () => {
      const write = `update tags set name = 'blue' where id = 1`
      const texts = [text, 'select * from plain']
      const rolledBack = (): Promise<void> =>
        bed.database.transaction(async (transaction) => {
          await transaction.query(write)
          throw new Error('no')
        })
      expect(await forgottenBy(texts, () => expect(rolledBack()).rejects.toThrow('no'))).toEqual([])
      const partly = (): Promise<void> =>
        bed.database.transaction(async (transaction) => {
          await transaction.query('insert into plain values (1)')
          await transaction
            .savepoint(async () => {
              await transaction.query(write)
              throw new Error('no')
            })
            .catch(() => undefined)
          await transaction.savepoint(() => transaction.query('insert into plain values (2)'))
        })
      expect(await forgottenBy(texts, partly)).toEqual(texts.slice(1))
      expect(await rows(text)).toEqual([{ name: 'red' }])
    })

    it('drops nothing when COMMIT is refused', async () => {
      await bed.database.query('create table later (x int unique deferrable initially deferred)')
      const refused = (): Promise<void> =>
        bed.database.transaction(async (transaction) => {
          await transaction.query(`update tags set name = 'blue' where id = 1`)
          await transaction.query('insert into later values (1), (1)')
        })
      const forgotten = await forgottenBy([text], () =>
        expect(refused()).rejects.toBeInstanceOf(PostgresQueryError),
      )
      expect(forgotten).toEqual([])
    })

    it('reads past the cache once the transaction has written, and leaves nothing there', async () => {
      await rows(text)
      await bed.database.transaction(async (transaction) => {
        const read = async (): Promise<unknown> =>
          (await bed.queries.query(text, [], { ...ttl, transaction })).rows
        expect(bed.queries.stats().bypassed).toBe(0)
        expect(await read()).toEqual([{ name: 'red' }])
        expect(bed.queries.stats().bypassed).toBe(0)
        await transaction.query(`update tags set name = 'mine' where id = 1`)
        expect(await read()).toEqual([{ name: 'mine' }])
        expect(await rows(text)).toEqual([{ name: 'red' }])
      })
      expect(await rows(text)).toEqual([{ name: 'mine' }])
    })

    it('does not store what a transaction has read in its own snapshot', async () => {
      await bed.queries.explain(text)
      await bed.database.transaction(
        async (transaction) => {
          await transaction.query('select 1 from users')
          await bed.database.query(`update tags set name = 'newer' where id = 1`)
          const { rows: old } = await bed.queries.query(text, [], { ...ttl, transaction })
          expect(old).toEqual([{ name: 'red' }])
        },
        { isolation: 'repeatable read' },
      )
      expect(await rows(text)).toEqual([{ name: 'newer' }])
    })

    it('needs no second connection while a transaction holds the only one', async () => {
      await using single = new PostgresManager({
        url: bed.url,
        pool: { max: 1 },
        pipeline: false,
      })
      await using alone = new CachedQueries(single, bed.cache)
      await single.transaction(async (transaction) => {
        await alone.query('select * from tags', [], { ...ttl, transaction })
        await transaction.query('delete from tags')
      })
      expect((await alone.query('select * from tags', [], ttl)).rows).toEqual([])
    })
  })

  it('does not keep a result whose query began before the write was done', async () => {
    // The reader has its snapshot, and is held up inside the server until the write is invalidated.
    const text = 'select name, hold(4711) as key from tags where id = 1'
    await bed.queries.explain(text)
    let reading: Promise<unknown> | undefined
    await bed.database.transaction(async (holder) => {
      await holder.query('select pg_advisory_xact_lock(4711)')
      reading = rows(text)
      await expect
        .poll(async () => {
          const { rows: waiting } = await holder.query(
            `select 1 from pg_locks where locktype = 'advisory' and objid = 4711 and not granted`,
          )
          return waiting.length
        })
        .toBe(1)
      const { invalidations } = bed.queries.stats()
      await bed.database.query(`update tags set name = 'after' where id = 1`)
      expect(bed.queries.stats().invalidations).toBe(invalidations + 1)
    })
    // What it read is older than the write: its own caller may have it, nobody after.
    expect(await reading).toEqual([{ name: 'red', key: 4711 }])
    expect(await rows(text)).toEqual([{ name: 'after', key: 4711 }])
  })

  it('keeps no result of before a write under concurrent readers and writers', async () => {
    const text = 'select name from tags where id = 1'
    let written = 0
    const older: unknown[] = []
    const writer = async (): Promise<void> => {
      for (let n = 1; n <= 60; n++) {
        await bed.database.query('update tags set name = $1 where id = 1', [String(n)])
        written = n
      }
    }
    const progress = { isDone: false }
    const reader = async (): Promise<void> => {
      while (!progress.isDone) {
        // A hit takes no turn of the event loop, in which the writer must go on.
        await new Promise(setImmediate)
        const atLeast = written
        const [row] = (await rows(text)) as { name: string }[]
        if (Number(row?.name) < atLeast) older.push(row?.name)
      }
    }
    const readers = Array.from({ length: 4 }, reader)
    await writer()
    progress.isDone = true
    await Promise.all(readers)
    expect(older).toEqual([])
    expect(await rows(text)).toEqual([{ name: '60' }])
  })

  it('keeps serving right while the cache cannot invalidate', async () => {
    const text = 'select name from tags where id = 1'
    const errors: unknown[] = []
    let isBroken = false
    const fragile = {
      get: <V>(key: string) => bed.cache.get<V>(key),
      getOrLoad: bed.cache.getOrLoad.bind(bed.cache),
      invalidateTags: (tags: readonly string[]) =>
        isBroken ? Promise.reject(new Error('no connection')) : bed.cache.invalidateTags(tags),
    }
    await using careful = new CachedQueries(bed.database, fragile, {
      onError: (error) => errors.push(error),
    })
    await bed.queries.close()
    const name = async (): Promise<unknown> => (await careful.query(text, [], ttl)).rows
    await name()
    isBroken = true
    await bed.database.query(`update tags set name = 'unseen' where id = 1`)
    expect(await name()).toEqual([{ name: 'unseen' }])
    expect(careful.stats().bypassed).toBe(1)
    isBroken = false
    expect(await name()).toEqual([{ name: 'unseen' }])
    expect(careful.stats().bypassed).toBe(1)
    expect(errors).toHaveLength(2)
  })

  it('stops caching when SET has made sessions differ', async () => {
    await using single = new PostgresManager({
      url: bed.url,
      pool: { max: 1 },
      pipeline: false,
    })
    await using setting = new CachedQueries(single, bed.cache)
    await setting.query('select * from tags', [], ttl)
    await single.query(`set search_path to ${schema}_other`)
    await setting.query('select * from tags', [], ttl)
    expect(setting.stats()).toMatchObject({
      bypassed: 1,
      offBecause: expect.stringContaining('SET'),
    })
  })

  it('drops by name and all at once on demand, and tells of hits', async () => {
    const hits: string[] = []
    await using told = new CachedQueries(bed.database, bed.cache, {
      scope: 'mine',
      onHit: (text) => hits.push(text),
    })
    const text = 'select * from tags'
    await told.query(text, [], ttl)
    await told.query(text, [], ttl)
    expect(hits).toEqual([text])
    await told.invalidateTables(['tags'])
    await told.query(text, [], ttl)
    await told.invalidateAll()
    await told.query(text, [], { ttlMs: 60_000, staleMs: 10, signal: AbortSignal.timeout(60_000) })
    expect(hits).toEqual([text])
    expect(told.stats().loads).toBe(3)
    await expect(told.invalidateTables(['nowhere'])).rejects.toThrow('there is no table nowhere')
  })

  it('is of no use after close, and refuses options that make no sense', async () => {
    await bed.queries.close()
    await expect(bed.queries.query('select 1', [], ttl)).rejects.toThrow('CachedQueries is closed')
    expect(() => new CachedQueries(bed.database, bed.cache, { catalogTtlMs: 0 })).toThrow(
      'catalogTtlMs must be above 0, got 0',
    )
  })
})
