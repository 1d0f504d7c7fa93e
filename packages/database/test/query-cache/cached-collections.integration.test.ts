import { createCache, type Cache } from '@dharma/cache'
import { MemoryChangeTokens, MongoManager } from '@dharma/database/mongodb'
import { bsonCodec, CachedCollections, NotCacheableError } from '@dharma/database/query-cache'
import { uniqueName } from '@dharma/testkit'
import { describeWith, describeWithMongo } from '@dharma/testkit/vitest'
import { BSON, ObjectId, type Document } from 'mongodb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'

const ttl = { ttlMs: 60_000 }

describeWithMongo('CachedCollections', () => {
  const name = uniqueName('cached')
  let database: MongoManager
  let cache: Cache
  let collections: CachedCollections

  beforeAll(async () => {
    database = await new MongoManager({ url: inject('mongoUrl'), database: name }).connect()
  })

  afterAll(async () => {
    await database.database.dropDatabase()
    await database.close()
  })

  beforeEach(async () => {
    await database.database.dropDatabase()
    await database.insertMany('users', [
      { _id: 1, name: 'ada' },
      { _id: 2, name: 'bob' },
    ])
    await database.insertMany('posts', [{ _id: 1, user: 1, title: 'first' }])
    cache = createCache({ namespace: 'collections' })
    collections = new CachedCollections(database, cache)
  })

  afterEach(async () => {
    await collections.close()
    await cache.close()
  })

  const find = (collection: string, filter: Document = {}): Promise<readonly Document[]> =>
    collections.find(collection, filter, ttl)

  /** Which of the collections a piece of work makes the cache forget. */
  const forgottenBy = async (
    names: readonly string[],
    work: () => Promise<unknown>,
  ): Promise<string[]> => {
    for (const one of names) await find(one)
    await work()
    const forgotten: string[] = []
    for (const one of names) {
      const { loads } = collections.stats()
      await find(one)
      if (collections.stats().loads > loads) forgotten.push(one)
    }
    return forgotten
  }

  it('gives what was found from the cache until its collection is written', async () => {
    const filter = { name: 'ada' }
    expect(await find('users', filter)).toEqual([{ _id: 1, name: 'ada' }])
    await find('users', filter)
    expect(collections.stats()).toMatchObject({ reads: 2, loads: 1 })
    await database.updateOne('users', { _id: 1 as never }, { $set: { name: 'eve' } })
    expect(await find('users', filter)).toEqual([])
    expect(collections.stats()).toMatchObject({ reads: 3, loads: 2, invalidations: 1 })
  })

  it('keeps filters and options apart, and keeps that there is none', async () => {
    const options = { ...ttl, projection: { name: 1 }, sort: { _id: -1 } as const, limit: 1 }
    expect(await collections.find('users', {}, options)).toEqual([{ _id: 2, name: 'bob' }])
    expect(await find('users')).toHaveLength(2)
    const nobody = { _id: new ObjectId() }
    for (let read = 0; read < 2; read++) {
      expect(await collections.findOne('users', nobody, { ...ttl, staleMs: 5 })).toBeUndefined()
    }
    const signal = AbortSignal.timeout(60_000)
    expect(
      await collections.findOne('users', { _id: 2 as never }, { ...ttl, signal }),
    ).toMatchObject({ name: 'bob' })
    expect(collections.stats()).toMatchObject({ reads: 5, loads: 4 })
  })

  it('drops what reads the collection that was written, by whatever method, and nothing else', async () => {
    const works: (() => Promise<unknown>)[] = [
      () => database.insertOne('users', { name: 'x' }),
      () => database.insertMany('users', [{ name: 'y' }]),
      () => database.updateMany('users', {}, { $set: { x: 1 } }),
      () => database.replaceOne('users', { name: 'x' }, { name: 'z' }),
      () => database.findOneAndUpdate('users', {}, { $set: { x: 2 } }),
      () => database.bulkWrite('users', [{ deleteOne: { filter: { name: 'z' } } }]),
      () => database.deleteMany('users', { name: 'y' }),
      () => database.aggregate('posts', [{ $merge: 'users' }]),
      () => database.aggregate('posts', [{ $out: 'users' }]),
      () => database.updateOne('users', {}, { $nothing: 1 }).catch(() => undefined),
    ]
    for (const work of works) expect(await forgottenBy(['users', 'posts'], work)).toEqual(['users'])
    expect(await forgottenBy(['users', 'posts'], () => database.find('users'))).toEqual([])
  })

  it('follows pipelines into other collections and through views', async () => {
    await database.database.createCollection('titles', {
      viewOn: 'posts',
      pipeline: [{ $lookup: { from: 'users', localField: 'user', foreignField: '_id', as: 'u' } }],
    })
    const pipeline = [{ $unionWith: { coll: 'titles' } }, { $count: 'n' }]
    expect(await collections.explain('tags', pipeline)).toEqual({
      kind: 'reads',
      collections: ['tags', 'titles', 'posts', 'users'],
    })
    expect(await collections.explain('tags')).toEqual({ kind: 'reads', collections: ['tags'] })
    const count = async (): Promise<unknown> => collections.aggregate('tags', pipeline, ttl)
    expect(await count()).toEqual([{ n: 1 }])
    await database.insertOne('posts', { user: 2 })
    expect(await count()).toEqual([{ n: 2 }])
    await database.insertOne('tags', {})
    expect(await count()).toEqual([{ n: 3 }])
  })

  it('refuses what gives another result each time, or runs it each time, if told to', async () => {
    const sample = [{ $sample: { size: 1 } }]
    await expect(collections.aggregate('users', sample, ttl)).rejects.toBeInstanceOf(
      NotCacheableError,
    )
    await expect(find('users', { $where: 'true' })).rejects.toThrow('$where')
    await expect(find('system.views')).rejects.toThrow('system.views belongs to the server')
    await expect(
      collections.find('users', {}, { ...ttl, projection: { x: { $rand: {} } } }),
    ).rejects.toThrow('$rand')
    expect(await collections.explain('users', sample)).toMatchObject({ kind: 'refused' })
    await database.database.createCollection('dated', {
      viewOn: 'users',
      pipeline: [{ $set: { at: '$$NOW' } }],
    })
    await expect(find('dated')).rejects.toThrow('$$NOW')
    await using bypassing = new CachedCollections(database, cache, { onRefused: 'bypass' })
    await bypassing.aggregate('users', sample, { ...ttl, signal: AbortSignal.timeout(60_000) })
    await bypassing.aggregate('users', sample, ttl)
    expect(bypassing.stats()).toMatchObject({ bypassed: 2, reads: 0 })
  })

  it('drops after a commit, not before, and nothing after a rollback', async () => {
    const names = ['users', 'posts']
    expect(
      await forgottenBy(names, () =>
        database.transaction(async (session) => {
          await database.updateOne('users', {}, { $set: { x: 1 } }, { session })
          const { loads } = collections.stats()
          await find('users')
          expect(collections.stats().loads).toBe(loads)
          const own = await collections.find('users', { x: 1 }, { ...ttl, session })
          expect(own).toHaveLength(1)
        }),
      ),
    ).toEqual(['users'])
    expect(collections.stats().bypassed).toBe(1)
    const rolledBack = (): Promise<void> =>
      database.transaction(async (session) => {
        await database.insertOne('users', {}, { session })
        throw new Error('no')
      })
    expect(await forgottenBy(names, () => expect(rolledBack()).rejects.toThrow('no'))).toEqual([])
  })

  it('keeps no result of before a write under concurrent readers and writers', async () => {
    let written = 0
    const progress = { isDone: false }
    const older: unknown[] = []
    const writer = async (): Promise<void> => {
      for (let n = 1; n <= 60; n++) {
        await database.updateOne('users', { _id: 1 as never }, { $set: { n } })
        written = n
      }
      progress.isDone = true
    }
    const reader = async (): Promise<void> => {
      while (!progress.isDone) {
        // A hit takes no turn of the event loop, in which the writer must go on.
        await new Promise(setImmediate)
        const atLeast = written
        const [user] = await find('users', { _id: 1 })
        if ((user?.['n'] ?? 0) < atLeast) older.push(user?.['n'])
      }
    }
    await Promise.all([writer(), ...Array.from({ length: 4 }, reader)])
    expect(older).toEqual([])
    expect(await find('users', { _id: 1 })).toMatchObject([{ n: 60 }])
  })

  it('keeps serving right while the cache cannot invalidate', async () => {
    const errors: unknown[] = []
    let isBroken = false
    const fragile = {
      get: <V>(key: string) => cache.get<V>(key),
      getOrLoad: cache.getOrLoad.bind(cache),
      invalidateTags: (tags: readonly string[]) =>
        isBroken ? Promise.reject(new Error('no connection')) : cache.invalidateTags(tags),
    }
    await using careful = new CachedCollections(database, fragile, {
      onError: (error) => errors.push(error),
      scope: 'mine',
    })
    const names = async (): Promise<unknown> =>
      (await careful.find('users', { _id: 1 as never }, ttl)).map((user) => user['name'])
    expect(await names()).toEqual(['ada'])
    isBroken = true
    await database.updateOne('users', { _id: 1 as never }, { $set: { name: 'unseen' } })
    expect(await names()).toEqual(['unseen'])
    expect(careful.stats().bypassed).toBe(1)
    isBroken = false
    expect(await names()).toEqual(['unseen'])
    expect(careful.stats().bypassed).toBe(1)
    expect(errors).toHaveLength(2)
  })

  it('drops by name and all at once on demand, and is of no use after close', async () => {
    const names = ['users', 'posts']
    expect(await forgottenBy(names, () => collections.invalidateCollections(['posts']))).toEqual([
      'posts',
    ])
    expect(await forgottenBy(names, () => collections.invalidateAll())).toEqual(names)
    await collections.close()
    await expect(find('users')).rejects.toThrow('CachedCollections is closed')
    expect(() => new CachedCollections(database, cache, { catalogTtlMs: 0 })).toThrow(
      'catalogTtlMs must be above 0, got 0',
    )
  })

  describe('following changes', () => {
    let outsider: MongoManager

    beforeAll(() => {
      outsider = new MongoManager({ url: inject('mongoUrl'), database: name })
    })

    afterAll(async () => {
      await outsider.close()
    })

    it('sees what others write, rename and drop', async () => {
      await collections.followChanges({ tokens: new MemoryChangeTokens(), name: 'test' })
      await collections.followChanges()
      const count = async (): Promise<number> => (await find('users')).length
      expect(await count()).toBe(2)
      await outsider.insertOne('users', { name: 'new' })
      await expect.poll(count).toBe(3)
      await outsider.database.collection('posts').rename('articles')
      await expect.poll(async () => (await find('articles')).length).toBe(1)
      await outsider.database.dropCollection('users')
      await expect.poll(count).toBe(0)
      await outsider.database.dropDatabase()
      await expect.poll(async () => (await find('articles')).length).toBe(0)
      expect(collections.stats().offBecause).toBeUndefined()
    })

    it(
      'caches nothing more when changes can be followed no longer, until they are again',
      { timeout: 30_000 },
      async () => {
        const errors: unknown[] = []
        await using careful = new CachedCollections(database, cache, {
          onError: (error) => errors.push(error),
          scope: 'careful',
        })
        let saves = 0
        const save = async (): Promise<void> => {
          saves += 1
          if (saves !== 2) throw new Error('no place for tokens')
        }
        const tokens = { load: async () => undefined, save }
        await expect(careful.followChanges({ tokens })).rejects.toThrow('no place for tokens')
        await careful.followChanges({ tokens })
        await outsider.insertOne('users', { name: 'new' })
        // Places are noted once a second.
        await expect
          .poll(() => careful.stats().offBecause, { timeout: 20_000 })
          .toBe('changes by others are followed no more')
        expect(errors).toEqual([new Error('no place for tokens')])
        const count = async (): Promise<number> => (await careful.find('users', {}, ttl)).length
        expect(await count()).toBe(3)
        await outsider.insertOne('users', { name: 'newer' })
        expect(await count()).toBe(4)
        expect(careful.stats()).toMatchObject({ bypassed: 2, reads: 0 })
        await careful.followChanges()
        expect(await count()).toBe(4)
        expect(careful.stats()).toMatchObject({ reads: 1, offBecause: undefined })
      },
    )
  })
})

describeWith('mongo', 'redis')('CachedCollections of two processes with one Redis', () => {
  it('one takes what the other has read, and sees what it has written', async () => {
    const name = uniqueName('cached')
    const url = inject('mongoUrl')
    const redis = inject('redisUrl')
    const managers = [1, 2].map(() => new MongoManager({ url, database: name }))
    const caches = managers.map(() =>
      createCache({ namespace: name, redis, codec: bsonCodec(BSON) }),
    )
    const [first, second] = managers.map(
      (manager, index) => new CachedCollections(manager, caches[index] as Cache),
    ) as [CachedCollections, CachedCollections]
    const document = { _id: new ObjectId(), at: new Date(), n: 1 }
    await managers[0]?.insertOne('things', document)
    expect(await first.find('things', {}, ttl)).toEqual([document])
    expect(await second.find('things', {}, ttl)).toEqual([document])
    expect(second.stats()).toMatchObject({ reads: 1, loads: 0 })
    await managers[1]?.updateOne('things', {}, { $set: { n: 2 } })
    expect(await second.find('things', {}, ttl)).toEqual([{ ...document, n: 2 }])
    await expect.poll(() => first.find('things', {}, ttl)).toEqual([{ ...document, n: 2 }])
    for (const one of [first, second, ...caches]) await one.close()
    await managers[0]?.database.dropDatabase()
    for (const one of managers) await one.close()
  })
})
