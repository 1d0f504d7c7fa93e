import {
  CollectionChangeTokens,
  MemoryChangeTokens,
  MongoManager,
  type ChangeTokenStore,
} from '@dharma/database/mongodb'
import { createMongoDatabase, type FreshDatabase } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import type { Document } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'

describeWithMongo('a change feed', () => {
  let fresh: FreshDatabase
  let database: MongoManager

  beforeAll(async () => {
    fresh = createMongoDatabase(inject('mongoUrl'))
    database = await new MongoManager({ url: fresh.url }).connect()
  })

  beforeEach(async () => {
    await database.collection('posts').drop()
    await database.database.createCollection('posts')
  })

  afterAll(async () => {
    await database.close()
    await fresh.drop()
  })

  /** The `n`s of the next inserts. */
  async function take(feed: AsyncIterable<Document>, count: number): Promise<number[]> {
    const seen: number[] = []
    for await (const change of feed) {
      if (change['operationType'] === 'insert') {
        seen.push((change['fullDocument'] as { n: number }).n)
      }
      if (seen.length === count) break
    }
    return seen
  }

  it('gives every change after it was opened, in order', async () => {
    await using feed = await database.watch('posts')
    await database.insertMany(
      'posts',
      [1, 2, 3].map((n) => ({ n })),
      { ordered: true },
    )
    expect(await take(feed, 3)).toEqual([1, 2, 3])
  })

  it('chooses changes by a pipeline, of the whole database, with the document as it is', async () => {
    const pipeline = [{ $match: { operationType: 'update' } }]
    await using feed = await database.watch(undefined, { pipeline, withDocument: true })
    await database.insertOne('posts', { _id: 1, n: 1 })
    await database.updateOne('posts', { _id: 1 as never }, { $set: { x: 1 } })
    for await (const change of feed) {
      expect(change).toMatchObject({ ns: { coll: 'posts' }, fullDocument: { n: 1, x: 1 } })
      break
    }
  })

  const stores: readonly [string, (database: MongoManager) => ChangeTokenStore][] = [
    ['memory', () => new MemoryChangeTokens()],
    ['a collection', (manager) => new CollectionChangeTokens(manager)],
  ]
  describe.each(stores)('with tokens in %s', (_name, storeOf) => {
    it('goes on where another one of its name was left, and repeats what was being worked on', async () => {
      const tokens = storeOf(database)
      const options = { tokens, name: 'my feed', saveEveryMs: 1 }
      const before = await database.watch('posts', options)
      await database.insertMany(
        'posts',
        [1, 2, 3].map((n) => ({ n })),
        { ordered: true },
      )
      expect(await take(before, 2)).toEqual([1, 2])
      await database.insertMany('posts', [{ n: 4 }])
      await using after = await database.watch('posts', options)
      expect(await take(after, 3)).toEqual([2, 3, 4])
      expect(after.token).toBeDefined()
    })

    it('begins at the place it was opened at, although it was never read', async () => {
      const options = { tokens: storeOf(database), name: 'unread' }
      const before = await database.watch('posts', options)
      await before.close()
      await database.insertOne('posts', { n: 1 })
      await using after = await database.watch('posts', options)
      expect(await take(after, 1)).toEqual([1])
    })
  })

  it('moves its place on while nothing happens to it', async () => {
    const tokens = new MemoryChangeTokens()
    const feed = await database.watch('posts', { tokens, name: 'idle', saveEveryMs: 1 })
    const opened = await tokens.load('idle')
    const moved = Promise.withResolvers<void>()
    const { save } = tokens
    tokens.save = async (name, token) => {
      await save.call(tokens, name, token)
      moved.resolve()
    }
    const reading = Array.fromAsync(feed)
    await database.insertOne('elsewhere', { n: 1 })
    await moved.promise
    await feed.close()
    expect(await reading).toEqual([])
    expect(await tokens.load('idle')).not.toEqual(opened)
  })

  it('goes on behind a dropped collection', async () => {
    await using feed = await database.watch('posts')
    await database.collection('posts').drop()
    const inserted = Promise.withResolvers<void>()
    const seen: string[] = []
    for await (const change of feed) {
      seen.push(change.operationType)
      if (change.operationType === 'invalidate') {
        await database.insertOne('posts', { n: 9 })
        inserted.resolve()
      }
      if (change.operationType === 'insert') break
    }
    expect(seen).toEqual(['drop', 'invalidate', 'insert'])
  })

  it('ends without an error when its signal aborts or the manager is closed', async () => {
    const abort = new AbortController()
    const other = await new MongoManager({ url: fresh.url }).connect()
    const first = await other.watch('posts', { signal: abort.signal })
    const second = await other.watch('posts')
    const reading = [Array.fromAsync(first), Array.fromAsync(second)]
    abort.abort()
    expect(await reading[0]).toEqual([])
    await other.close()
    expect(await reading[1]).toEqual([])
  })

  it('refuses a pipeline that the server refuses, and options out of range', async () => {
    const failing = database.watch('posts', { pipeline: [{ $group: { _id: 1 } }] })
    await expect(failing).rejects.toMatchObject({ code: 'DHARMA_MONGO_OPERATION' })
    await expect(database.watch('posts', { maxBuffered: 0 })).rejects.toThrow('maxBuffered')
    await expect(database.watch('posts', { saveEveryMs: 0 })).rejects.toThrow('saveEveryMs')
  })
})
