import { createCache, type Cache } from '@dharma/cache'
import { MongoManager } from '@dharma/database/mongodb'
import { CachedCollections } from '@dharma/database/query-cache'
import type { TestServer } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { startFailingMongo, whileFailing } from '../mongodb/fail-command.ts'

const ttl = { ttlMs: 60_000 }
const soon = { timeout: 20_000 }

describeWithMongo('CachedCollections under faults', () => {
  let server: TestServer
  let database: MongoManager
  let outsider: MongoManager
  let cache: Cache
  let collections: CachedCollections
  let errors: unknown[]

  beforeAll(async () => {
    server = await startFailingMongo()
    outsider = await new MongoManager({ url: server.url, database: 'cached_faults' }).connect()
  })

  afterAll(async () => {
    await outsider.close()
    await server.close()
  })

  beforeEach(async () => {
    const url = new URL(server.url)
    url.searchParams.set('appName', 'failing')
    database = await new MongoManager({ url: url.href, database: 'cached_faults' }).connect()
    await outsider.deleteMany('users', {})
    await outsider.insertOne('users', { n: 0 })
    errors = []
    cache = createCache({ namespace: 'faults' })
    collections = new CachedCollections(database, cache, { onError: (error) => errors.push(error) })
  })

  afterEach(async () => {
    await collections.close()
    await cache.close()
    await database.close()
  })

  const read = async (): Promise<unknown> => (await collections.find('users', {}, ttl))[0]?.['n']
  const write = (n: number): Promise<unknown> => outsider.updateOne('users', {}, { $set: { n } })
  const isLoaded = async (): Promise<boolean> => {
    const { loads } = collections.stats()
    await read()
    return collections.stats().loads > loads
  }

  it(
    'sees what others write before, while and after the primary steps down',
    { timeout: 60_000 },
    async () => {
      await collections.followChanges()
      expect(await read()).toBe(0)
      const admin = outsider.database.client.db('admin')
      await write(1)
      await admin.command({ replSetStepDown: 1, secondaryCatchUpPeriodSecs: 0, force: true })
      // Resolves when the server is the primary again.
      await write(2)
      await expect.poll(read, soon).toBe(2)
      await write(3)
      await expect.poll(read, soon).toBe(3)
      expect(collections.stats().offBecause).toBeUndefined()
    },
  )

  it('drops everything when the server has not kept the changes', { timeout: 60_000 }, async () => {
    await collections.followChanges()
    await read()
    expect(await isLoaded()).toBe(false)
    const { invalidations } = collections.stats()
    const how = { errorCode: 286, errorLabels: ['NonResumableChangeStreamError'] }
    await whileFailing(server, { commands: ['getMore'], times: 1, how }, () =>
      expect.poll(() => collections.stats().invalidations, soon).toBe(invalidations + 1),
    )
    expect(await isLoaded()).toBe(true)
    // It goes on from there.
    await write(4)
    await expect.poll(read, soon).toBe(4)
    expect(collections.stats().offBecause).toBeUndefined()
  })

  it('loses nothing that others write while a gap is told of', { timeout: 60_000 }, async () => {
    const told = Promise.withResolvers<void>()
    const mayGoOn = Promise.withResolvers<void>()
    await using slow = new CachedCollections(database, {
      get: (key) => cache.get(key),
      getOrLoad: cache.getOrLoad.bind(cache),
      invalidateTags: async (tags) => {
        await cache.invalidateTags(tags)
        told.resolve()
        await mayGoOn.promise
      },
    })
    const readSlow = async (): Promise<unknown> => (await slow.find('users', {}, ttl))[0]?.['n']
    await slow.followChanges()
    const how = { errorCode: 286, errorLabels: ['NonResumableChangeStreamError'] }
    await whileFailing(server, { commands: ['getMore'], times: 1, how }, () => told.promise)
    expect(await readSlow()).toBe(0)
    await write(5)
    mayGoOn.resolve()
    await expect.poll(readSlow, soon).toBe(5)
  })

  it(
    'caches nothing when the feed is lost for good, until it is followed anew',
    { timeout: 60_000 },
    async () => {
      await collections.followChanges()
      await read()
      expect(await isLoaded()).toBe(false)
      // Not authorized: nothing that another attempt would mend.
      const how = { errorCode: 13 }
      await whileFailing(server, { commands: ['getMore'], times: 1, how }, () =>
        expect
          .poll(() => collections.stats().offBecause, soon)
          .toBe('changes by others are followed no more'),
      )
      expect(errors).toHaveLength(1)
      const { reads, bypassed } = collections.stats()
      for (const n of [6, 7]) {
        await write(n)
        expect(await read()).toBe(n)
      }
      expect(collections.stats()).toMatchObject({ reads, bypassed: bypassed + 2 })
      await collections.followChanges()
      expect(await read()).toBe(7)
      expect(await isLoaded()).toBe(false)
      await write(8)
      await expect.poll(read, soon).toBe(8)
    },
  )
})
