import { createCache, type Cache } from '@dharma/cache'
import { InvalidationHandler, userProfileUpdated } from '@dharma/cache/invalidation-handler'
import { startRedis, startRedisCluster, uniqueName, type TestServer } from '@dharma/testkit'
import { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { KeyLayout } from '../../src/redis/key-layout.ts'
import { eventually, openCaches } from '../cache/shared-cache.ts'

/** The rights that a cache needs, as its documentation says them. */
const RIGHTS = (
  '+get +mget +set +del +unlink +getrange +pttl +pexpire +xadd +xread +xrange +xrevrange ' +
  '+eval +evalsha +time +wait +ping +role +info +hello +auth +client|setname'
).split(' ')
/** In a cluster, besides. */
const CLUSTER_RIGHTS = ['+cluster|slots', '+cluster|info']
/** For an `InvalidationHandler` with its maintenance, besides. */
const HANDLER_RIGHTS = (
  '+hget +hset +hdel +exists +scan +object|idletime ' +
  '+xgroup +xreadgroup +xack +xautoclaim +xpending +xinfo +xtrim +xsetid'
).split(' ')
const keysOf = (namespace: string): string[] => [`~${namespace}:*`, `~{${namespace}:inv}:*`]

let redis: TestServer
beforeAll(async () => {
  redis = await startRedis({ dedicated: true })
})
afterAll(() => redis.close())

async function grant(server: TestServer, name: string, rights: readonly string[]): Promise<void> {
  const admin = new Redis(server.url)
  await admin.call('ACL', 'SETUSER', name, 'on', '>secret', 'resetchannels', '-@all', ...rights)
  admin.disconnect()
}

/** Resolves when a lease, which is about to be taken, has been renewed. */
async function renewed(admin: Redis | Cluster, lease: string): Promise<void> {
  let lastMs = 0
  await eventually(async () => {
    const leftMs = await admin.pttl(lease)
    const isRenewed = lastMs > 0 && leftMs > lastMs
    lastMs = leftMs
    return isRenewed
  })
}

/** All that a cache can do with Redis. */
async function useAll(
  [one, other]: readonly [Cache, Cache],
  admin: Redis | Cluster,
): Promise<void> {
  const done = { status: 'done' }
  expect(await one.set('k', 1, { tags: ['t'] })).toEqual(done)
  expect(
    await one.setMany([
      ['a', 1],
      ['b', 2],
    ]),
  ).toEqual(done)
  expect(await other.get('k')).toBe(1)
  expect((await other.getMany(['a', 'b'])).size).toBe(2)
  const lease = new KeyLayout(one.namespace).lease('l')
  const slow = (): Promise<string> => renewed(admin, lease).then(() => 'loaded')
  const loads = [one, other].map((cache) => cache.getOrLoad('l', slow, { tags: ['t', 'u'] }))
  expect(await Promise.all(loads)).toEqual(['loaded', 'loaded'])
  const late = await one.getOrLoad('late', ({ setTags }) => {
    setTags(['late'])
    return 1
  })
  expect(await other.get('late')).toBe(late)
  const failed = one.getOrLoad('f', () => Promise.reject(new Error('no')))
  await expect(failed).rejects.toThrow('no')
  const many = await one.getOrLoadMany(['m', 'n'], (keys) =>
    Promise.resolve(new Map(keys.map((key) => [key, key]))),
  )
  expect(many.size).toBe(2)
  expect(await one.invalidateTags(['t'])).toEqual(done)
  expect(await one.invalidatePattern('a*')).toEqual(done)
  expect(await one.deleteMany(['b'])).toEqual(done)
  expect(await one.clear()).toEqual(done)
  await eventually(() => other.peek('m') === undefined)
  expect((await one.getMany(['k', 'a', 'b', 'l', 'm'])).size).toBe(0)
}

describe('least rights', () => {
  it('suffice for everything that a cache does', async () => {
    const namespace = uniqueName('cache')
    await grant(redis, namespace, [...RIGHTS, ...keysOf(namespace)])
    const errors: unknown[] = []
    const caches = await openCaches(2, {
      namespace,
      redis: {
        mode: 'standalone',
        host: redis.host,
        port: redis.port,
        username: namespace,
        password: 'secret',
      },
      leaseMs: 300,
      onError: (error) => errors.push(error),
    })
    const admin = new Redis(redis.url)
    onTestFinished(() => admin.disconnect())
    await useAll(caches as [Cache, Cache], admin)
    expect(errors.map(String)).toEqual([])
  })

  it('suffice in a cluster', async () => {
    const cluster = await startRedisCluster()
    onTestFinished(() => cluster.close())
    const namespace = uniqueName('cache')
    const rights = [...RIGHTS, ...CLUSTER_RIGHTS, ...keysOf(namespace)]
    for (const node of cluster.nodes) await grant(node, namespace, rights)
    const nodes = cluster.nodes.map(({ host, port }) => ({ host, port }))
    const admin = new Cluster(nodes)
    onTestFinished(() => admin.disconnect())
    const caches = await openCaches(2, {
      namespace,
      timeoutMs: 5_000,
      leaseMs: 1_000,
      durability: 'replicated',
      redis: {
        mode: 'cluster',
        nodes,
        username: namespace,
        password: 'secret',
      },
    })
    // Replicas of a cluster that has just begun acknowledge nothing until they have copied their masters.
    await eventually(async () => (await caches[0]?.clear())?.status === 'done', 20_000)
    await useAll(caches as [Cache, Cache], admin)
    await eventually(async () => (await caches[0]?.health())?.status === 'up')
    expect(await caches[0]?.get('k')).toBeUndefined()
  })

  it('suffice for events and their maintenance', async () => {
    const namespace = uniqueName('cache')
    const stream = uniqueName('events')
    const rights = [
      ...RIGHTS,
      ...HANDLER_RIGHTS,
      ...keysOf(namespace),
      `~{${stream}}`,
      `~{${stream}}:*`,
    ]
    await grant(redis, namespace, rights)
    const target = {
      mode: 'standalone',
      host: redis.host,
      port: redis.port,
      username: namespace,
      password: 'secret',
    } as const
    const errors: unknown[] = []
    const [cache] = (await openCaches(1, { namespace, redis: target })) as [Cache]
    const handler = new InvalidationHandler({
      service: 'test',
      caches: [cache],
      redis: target,
      stream,
      onError: (error) => errors.push(error),
    })
    onTestFinished(() => handler.close())
    await handler.ready()
    await cache.set('k', 1, { tags: ['user:1'] })
    const { status } = await handler.publish(userProfileUpdated, { userId: '1' })
    expect(status).toBe('done')
    await handler.maintain()
    expect(errors.map(String)).toEqual([])
  })

  it.each(['set', 'xadd', 'evalsha', 'mget', 'role'])(
    'without %s, the error says that a right is missing, and loads go on',
    async (right) => {
      const namespace = uniqueName('cache')
      const rights = RIGHTS.filter((each) => each !== `+${right}`)
      await grant(redis, namespace, [...rights, ...keysOf(namespace)])
      const errors: unknown[] = []
      const degraded: unknown[] = []
      const cache = createCache({
        namespace,
        redis: `redis://${namespace}:secret@${redis.host}:${redis.port}`,
        onError: (error) => errors.push(error),
        onDegraded: ({ cause }) => degraded.push(cause),
      })
      onTestFinished(() => cache.close())
      await eventually(async () => {
        await cache.set('k', 1, { tags: ['t'] })
        expect(await cache.getOrLoad('other', () => 'loaded')).toBe('loaded')
        return [...errors, ...degraded].some((error) => isRefusal(error))
      })
    },
  )

  it('without unlink, what could not be deleted is not taken from Redis either', async () => {
    const namespace = uniqueName('cache')
    const rights = RIGHTS.filter((each) => each !== '+unlink')
    await grant(redis, namespace, [...rights, ...keysOf(namespace)])
    const url = `redis://${namespace}:secret@${redis.host}:${redis.port}`
    const [cache] = (await openCaches(1, { namespace, redis: url })) as [Cache]
    expect(await cache.set('k', 'old')).toEqual({ status: 'done' })
    expect(await cache.delete('k')).toEqual({ status: 'pending' })
    for (let round = 0; round < 20; round++) expect(await cache.get('k')).toBeUndefined()
    expect(await cache.getOrLoad('k', () => 'new')).toBe('new')
  })

  it('keys of another namespace are out of reach', async () => {
    const namespace = uniqueName('cache')
    await grant(redis, namespace, [...RIGHTS, ...keysOf(namespace)])
    const causes: unknown[] = []
    const cache = createCache({
      namespace: `${namespace}x`,
      redis: `redis://${namespace}:secret@${redis.host}:${redis.port}`,
      onError: (error) => causes.push(error),
    })
    onTestFinished(() => cache.close())
    await eventually(() => causes.some(isRefusal))
    expect(await cache.getOrLoad('k', () => 'loaded')).toBe('loaded')
  })
})

/** Whether an error, or what it was caused by, is Redis' refusal. Of what scripts call it says no more. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return /NOPERM|can't run this command/u.test(error.message) || isRefusal(error.cause)
}
