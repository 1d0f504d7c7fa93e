import type { Cache } from '@dharma/cache'
import { startRedis, uniqueName, type TestServer } from '@dharma/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, openCaches } from './shared-cache.ts'

let redis: TestServer

beforeAll(async () => {
  redis = await startRedis({ dedicated: true })
})
afterAll(() => redis.close())

describe('fault: the server becomes a replica without anybody being told', () => {
  it('memory is not used for longer than the staleness allowed, and is again once it is a master', async () => {
    const admin = new Redis(redis.url)
    onTestFinished(() => admin.disconnect())
    const options = { namespace: uniqueName('cache'), redis: redis.url, maxStalenessMs: 500 }
    const [one, other] = (await openCaches(2, options)) as [Cache, Cache]
    await one.set('k', 'old')
    expect(await other.get('k')).toBe('old')
    // Nobody answers there, so that it keeps what it has and hears of nothing new.
    await admin.replicaof('127.0.0.1', 1)
    await eventually(() => other.peek('k') === undefined, 2_000)
    const untilMs = performance.now() + 1_000
    while (performance.now() < untilMs) {
      expect(other.peek('k')).toBeUndefined()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await other.health()).reasons).toContain(
      'the log of invalidations was not read in time',
    )
    expect(await one.set('k', 'new')).toEqual({ status: 'pending' })
    expect(await one.get('k')).not.toBe('old')
    await admin.replicaof('NO', 'ONE')
    await eventually(async () => (await one.health()).status === 'up')
    await eventually(async () => (await other.health()).status === 'up')
    expect(await other.get('k')).not.toBe('old')
    await eventually(async () => (await one.set('k', 'newest')).status === 'done')
    await eventually(async () => (await other.get('k')) === 'newest')
  })
})
