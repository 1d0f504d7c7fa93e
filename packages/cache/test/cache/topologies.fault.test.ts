import type { Cache } from '@dharma/cache'
import {
  startRedisCluster,
  startRedisSentinel,
  uniqueName,
  type RedisClusterTopology,
  type RedisSentinelTopology,
} from '@dharma/testkit'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { migrateSlot } from '../consistency/failover-faults.ts'
import { Random } from '../consistency/random.ts'
import { eventually, openCaches, sourceOf } from './shared-cache.ts'

describe('fault: Sentinel failover', () => {
  let topology: RedisSentinelTopology

  beforeAll(async () => {
    topology = await startRedisSentinel({ downAfterMs: 500 })
  })
  afterAll(() => topology.close())

  const open = (count: number, options: object = {}): Promise<Cache[]> =>
    openCaches(count, {
      namespace: uniqueName('cache'),
      redis: {
        mode: 'sentinel',
        name: topology.masterName,
        sentinels: topology.sentinels.map(({ host, port }) => ({ host, port })),
      },
      ...options,
    })

  it('counts a write as done only when a replica has it, if told so', async () => {
    const [one, other] = await open(2, { durability: 'replicated' })
    expect(await one?.set('k', 1)).toEqual({ status: 'done' })
    expect(await one?.invalidateTags(['t'])).toEqual({ status: 'done' })
    expect(await other?.get('k')).toBe(1)
  })

  it('costs misses, never stale values, and no call fails', async () => {
    const [one, other] = await open(2)
    const source = sourceOf('new')
    await one?.set('k', 'old', { tags: ['t'] })
    await eventually(async () => (await other?.get('k')) === 'old')
    const failing = topology.failover()
    await one?.invalidateTags(['t'])
    const failover = { isDone: false }
    const failedOver = failing.finally(() => {
      failover.isDone = true
    })
    while (!failover.isDone) {
      expect(await one?.getOrLoad('k', source.load, { tags: ['t'] })).toBe('new')
      await new Promise((resolve) => setImmediate(resolve))
    }
    await failedOver
    await eventually(async () => (await one?.set('after', 1))?.status === 'done', 15_000)
    await eventually(async () => (await other?.health())?.status === 'up', 15_000)
    expect(await other?.getOrLoad('k', source.load, { tags: ['t'] })).toBe('new')
  })
})

describe('fault: Redis Cluster', () => {
  let topology: RedisClusterTopology

  beforeAll(async () => {
    topology = await startRedisCluster()
  })
  afterAll(() => topology.close())

  const open = (count: number, options: object = {}): Promise<Cache[]> =>
    openCaches(count, {
      namespace: uniqueName('cache'),
      timeoutMs: 1_000,
      redis: { mode: 'cluster', nodes: topology.nodes.map(({ host, port }) => ({ host, port })) },
      ...options,
    })

  it('every operation works over all slots', async () => {
    const [one, other] = await open(2)
    const keys = Array.from({ length: 200 }, (_, index) => `key:${index}`)
    expect(
      await one?.setMany(
        keys.map((key) => [key, key] as const),
        { tags: ['t', 'u'] },
      ),
    ).toEqual({ status: 'done' })
    expect((await other?.getMany(keys))?.size).toBe(200)
    const loaded = await other?.getOrLoadMany([...keys, 'x', 'y'], (missing) =>
      Promise.resolve(new Map(missing.map((key) => [key, 'loaded']))),
    )
    expect(loaded?.size).toBe(202)
    await one?.deleteMany(keys.slice(0, 100))
    await eventually(() => other?.peek('key:0') === undefined)
    expect((await other?.getMany(keys))?.size).toBe(100)
    await one?.invalidatePattern('key:19*')
    await eventually(() => other?.peek('key:199') === undefined)
    expect((await other?.getMany(keys))?.size).toBe(90)
    await one?.invalidateTags(['u'])
    expect((await one?.getMany(keys))?.size).toBe(0)
    await eventually(() => other?.peek('key:150') === undefined)
    expect((await other?.getMany(keys))?.size).toBe(0)
    await one?.clear()
    expect(await one?.get('x')).toBeUndefined()
  })

  it('a load with a new tag is kept, although another process has just invalidated something', async () => {
    const [one, other] = await open(2)
    for (let round = 0; round < 30; round++) {
      await other?.invalidateTags([`unrelated:${round}`])
      const tags = [`new:${round}`]
      expect(await one?.getOrLoad(`k${round}`, () => round, { tags })).toBe(round)
      await one?.set(`s${round}`, round, { tags: [`written:${round}`] })
      expect(one?.peek(`k${round}`)).toBe(round)
      await eventually(async () => (await other?.get(`k${round}`)) === round, 1_000)
      await eventually(async () => (await other?.get(`s${round}`)) === round, 1_000)
    }
  })

  it('one load for all processes, fenced against invalidations of another', async () => {
    const caches = await open(3)
    const source = sourceOf('value', 80)
    const values = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        (caches[index % 3] as Cache).getOrLoad('k', source.load),
      ),
    )
    expect([source.calls, new Set(values)]).toEqual([1, new Set(['value'])])
    for (const invalidate of [
      (cache: Cache | undefined) => cache?.delete('f'),
      (cache: Cache | undefined) => cache?.invalidateTags(['t']),
      (cache: Cache | undefined) => cache?.invalidatePattern('f*'),
    ]) {
      const gate = Promise.withResolvers<string>()
      const called = Promise.withResolvers<void>()
      const load = caches[0]?.getOrLoad(
        'f',
        () => {
          called.resolve()
          return gate.promise
        },
        { tags: ['t'] },
      )
      await called.promise
      await invalidate(caches[1])
      gate.resolve('old')
      expect(await load).toBe('old')
      for (const cache of caches) {
        await eventually(async () => (await cache.get('f')) !== 'old', 1_000)
      }
    }
  })

  it('a failover fails no call, and what was invalidated during it is gone after', async () => {
    const [one, other] = await open(2)
    await one?.set('k', 'old', { tags: ['t'] })
    await eventually(async () => (await other?.get('k')) === 'old')
    const master = await topology.masterOf('k')
    await master.kill()
    const source = sourceOf('new')
    await one?.invalidate({ tags: ['t'], keys: ['k'] })
    const untilMs = performance.now() + 3_000
    while (performance.now() < untilMs) {
      expect(await one?.getOrLoad('k', source.load, { tags: ['t'] })).toBe('new')
      await new Promise((resolve) => setImmediate(resolve))
    }
    await master.restart()
    await topology.settled()
    await eventually(async () => (await one?.health())?.status === 'up', 20_000)
    await eventually(async () => (await other?.health())?.status === 'up', 20_000)
    await eventually(
      async () => (await other?.getOrLoad('k', source.load, { tags: ['t'] })) === 'new',
      2_000,
    )
    await eventually(async () => (await one?.set('k', 'later'))?.status === 'done', 5_000)
  })

  it('slots that move while all works fail no call, lose no invalidation and no write', async () => {
    const namespace = uniqueName('cache')
    const [one, other] = (await open(2, { namespace })) as [Cache, Cache]
    const random = new Random(7)
    const keys = Array.from({ length: 20 }, (_, index) => `dropped:hot:${index}`)
    const truth = new Map(keys.map((key) => [key, 0]))
    const work = { isOver: false, rounds: 0 }
    const moving = (async () => {
      // The third is the worst: the slot of the log itself may be among them.
      for (let move = 0; move < 6; move++) {
        await migrateSlot({
          site: { cluster: topology },
          workers: [],
          random,
          namespace,
          note: () => undefined,
        })
      }
    })().finally(() => {
      work.isOver = true
    })
    while (!work.isOver || work.rounds < 20) {
      const key = random.pick(keys)
      const version = (truth.get(key) ?? 0) + 1
      truth.set(key, version)
      const change =
        work.rounds % 2 === 0 ? one.set(key, version, { tags: ['t'] }) : one.invalidateTags(['t'])
      await change
      const read = (): number => truth.get(key) ?? 0
      expect(await one.getOrLoad(key, read, { tags: ['t'] })).toBe(version)
      await other.getOrLoad(random.pick(keys), () => -1, { tags: ['t'], ttlMs: 1 })
      work.rounds++
    }
    await moving
    await eventually(async () => (await one.health()).status === 'up', 10_000)
    await eventually(async () => (await other.health()).status === 'up', 10_000)
    expect(await one.clear()).toEqual({ status: 'done' })
    for (const key of keys) {
      await eventually(async () => {
        const value = await other.getOrLoad(key, () => truth.get(key) ?? 0, { tags: ['t'] })
        return value === truth.get(key)
      }, 3_000)
    }
  })

  it('an existing client is used and left open', async () => {
    const client = new Cluster(topology.nodes.map(({ host, port }) => ({ host, port })))
    onTestFinished(() => client.disconnect())
    const [cache] = await open(1, { redis: client })
    await cache?.set('k', 1)
    await cache?.close()
    expect(client.status).toBe('ready')
  })
})
