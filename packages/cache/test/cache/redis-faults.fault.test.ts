import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createCache, type Cache } from '@dharma/cache'
import { systemClock } from '@dharma/core'
import { startFaultProxy, startRedis, uniqueName, type TestServer } from '@dharma/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, openCaches, sourceOf } from './shared-cache.ts'

let redis: TestServer

beforeAll(async () => {
  redis = await startRedis({ dedicated: true })
})
afterAll(() => redis.close())
beforeEach(async () => {
  if (redis.state === 'stopped') await redis.cont()
  if (redis.state === 'killed') await redis.restart()
})

async function two(url = redis.url, options: object = {}): Promise<[Cache, Cache]> {
  const [one, other] = await openCaches(2, {
    namespace: uniqueName('cache'),
    redis: url,
    ...options,
  })
  return [one as Cache, other as Cache]
}

/** Calls for a while, and what the slowest took. */
async function callFor(
  milliseconds: number,
  call: () => Promise<unknown>,
): Promise<{ calls: number; slowestMs: number }> {
  const untilMs = performance.now() + milliseconds
  let calls = 0
  let slowestMs = 0
  while (performance.now() < untilMs) {
    const beganMs = performance.now()
    await call()
    slowestMs = Math.max(slowestMs, performance.now() - beganMs)
    calls++
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { calls, slowestMs }
}

describe('fault: Redis killed or hung', () => {
  it.each(['kill', 'stop'] as const)(
    '%s: no error, bounded calls, and Redis is used again soon after',
    async (fault) => {
      const [cache] = await two()
      const source = sourceOf('value')
      await cache.set('k', 'value')
      await redis[fault]()
      let index = 0
      const first = await callFor(600, () => cache.getOrLoad(`k${index++ % 50}`, source.load))
      expect(first.slowestMs).toBeLessThan(2 * 250 + 100)
      const later = await callFor(1_000, () => cache.getOrLoad(`k${index++ % 50}`, source.load))
      // Nobody waits for the deadline any more: the breaker is open.
      expect(later.slowestMs).toBeLessThan(200)
      expect(await cache.set('w', 1)).toEqual({ status: 'pending' })
      expect(await cache.delete('gone')).toEqual({ status: 'pending' })
      expect((await cache.health()).status).toBe('degraded')
      await (fault === 'kill' ? redis.restart() : redis.cont())
      await eventually(async () => (await cache.health()).status === 'up', 4_000)
      expect(await cache.set('k', 'again')).toEqual({ status: 'done' })
    },
  )

  it('loads one key once a staleness period in an outage, not at each read', async () => {
    const [cache] = await two()
    await redis.kill()
    const source = sourceOf('value')
    await callFor(1_000, () => cache.getOrLoad('k', source.load))
    expect(source.calls).toBeLessThanOrEqual(2)
  })

  it('an invalidation that Redis did not hear is replayed, and nothing older is served before', async () => {
    const [one, other] = await two()
    await one.set('k', 'old', { tags: ['t'] })
    await one.set('p', 'old')
    expect(await other.get('k')).toBe('old')
    await redis.stop()
    const results = await Promise.all([one.invalidateTags(['t']), one.delete('p')])
    expect(results).toEqual([{ status: 'pending' }, { status: 'pending' }])
    const untilMs = performance.now() + 300
    while (performance.now() < untilMs) expect(await one.get('k')).toBeUndefined()
    await redis.cont()
    await eventually(async () => (await one.health()).status === 'up')
    await eventually(async () => (await other.health()).status === 'up')
    for (const cache of [one, other])
      expect([await cache.get('k'), await cache.get('p')]).toEqual([undefined, undefined])
  })

  it('a write that was delayed beyond its deadline does not overwrite a younger one', async () => {
    const [one, other] = await two()
    await one.set('k', 'first')
    await redis.stop()
    expect(await one.set('k', 'late')).toEqual({ status: 'pending' })
    await redis.cont()
    await eventually(async () => (await one.health()).status === 'up')
    await eventually(async () => (await other.set('k', 'younger')).status === 'done')
    for (let round = 0; round < 50; round++) {
      await new Promise((resolve) => setImmediate(resolve))
      expect(await other.get('k')).toBe('younger')
    }
    await eventually(async () => (await one.get('k')) === 'younger')
  })

  it('a Redis that comes back empty costs misses, never stale values', async () => {
    const [one, other] = await two()
    await one.set('k', 'old')
    expect(await other.get('k')).toBe('old')
    await redis.restart({ keepData: false })
    await eventually(async () => (await other.health()).status === 'up')
    await eventually(async () => (await one.health()).status === 'up')
    expect(await one.set('k', 'new')).toEqual({ status: 'done' })
    // What was told again when Redis came back came before it, so it stays.
    await eventually(async () => (await other.get('k')) === 'new' && other.peek('k') === 'new')
    const untilMs = performance.now() + 300
    while (performance.now() < untilMs) {
      expect([await one.get('k'), await other.get('k')]).toEqual(['new', 'new'])
      await new Promise((resolve) => setImmediate(resolve))
    }
  })

  it('serves from memory within its grace while both Redis and the loader fail', async () => {
    const [cache] = await two(redis.url, { defaults: { ttlMs: 60_000, graceMs: 60_000 } })
    await cache.set('k', 'kept')
    await redis.kill()
    await eventually(() => cache.peek('k') === undefined, 3_000)
    const fail = (): never => {
      throw new Error('database down')
    }
    expect(await cache.getOrLoad('k', fail)).toBe('kept')
    expect(await cache.get('k')).toBe('kept')
  })
})

describe('fault: the connection', () => {
  it('a write that arrives after its caller was told that it failed does not undo a younger one', async () => {
    const proxy = await startFaultProxy(redis)
    onTestFinished(() => proxy.close())
    const namespace = uniqueName('cache')
    const [near, third] = await openCaches(2, { namespace, redis: redis.url })
    const [far] = await openCaches(1, { namespace, redis: redis.urlThrough(proxy) })
    await far?.set('k', 'first')
    proxy.delay(600)
    expect(await far?.set('k', 'late')).toEqual({ status: 'pending' })
    expect(await near?.set('k', 'younger')).toEqual({ status: 'done' })
    const untilMs = performance.now() + 800
    while (performance.now() < untilMs) {
      for (const cache of [near, third]) expect(await cache?.get('k')).not.toBe('late')
      await new Promise((resolve) => setImmediate(resolve))
    }
  })

  it("invalidation published while a subscriber's connection is down: it is caught up from the log", async () => {
    const proxy = await startFaultProxy(redis)
    onTestFinished(() => proxy.close())
    const namespace = uniqueName('cache')
    const [near] = await openCaches(1, { namespace, redis: redis.url })
    const [far] = await openCaches(1, { namespace, redis: redis.urlThrough(proxy) })
    for (let round = 0; round < 10; round++) {
      await near?.set('k', round)
      await eventually(async () => (await far?.get('k')) === round)
      proxy.cut()
      await near?.delete('k')
      await eventually(async () => (await far?.health())?.status === 'up')
      await eventually(() => far?.peek('k') === undefined, 500)
      expect(await far?.get('k')).toBeUndefined()
    }
  })

  it('a process that hears nothing stops serving from memory within the staleness allowed', async () => {
    const proxy = await startFaultProxy(redis)
    onTestFinished(() => proxy.close())
    const namespace = uniqueName('cache')
    const [near] = await openCaches(1, { namespace, redis: redis.url })
    const [far] = await openCaches(1, { namespace, redis: redis.urlThrough(proxy) })
    await near?.set('k', 'old')
    expect(await far?.get('k')).toBe('old')
    proxy.blackHole()
    await near?.set('k', 'new')
    const changedMs = performance.now()
    await eventually(() => far?.peek('k') === undefined, 3_000)
    expect(performance.now() - changedMs).toBeLessThan(2_050)
    const value = await far?.getOrLoad('k', () => 'new')
    expect(value).toBe('new')
    await proxy.heal()
    await eventually(async () => (await far?.health())?.status === 'up', 8_000)
    await eventually(async () => (await far?.get('k')) === 'new')
  })

  it('CLIENT KILL of every connection loses no invalidation and fails no call', async () => {
    const [one, other] = await two()
    const admin = new Redis(redis.url)
    onTestFinished(() => admin.disconnect())
    for (let round = 0; round < 10; round++) {
      // What was pending from the round before may still delete what is set here.
      await eventually(async () => {
        const { status } = await one.set('k', round)
        return status === 'done' && (await other.get('k')) === round
      })
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await one.delete('k')
      expect(await one.get('k')).toBeUndefined()
      await eventually(() => other.peek('k') === undefined, 2_100)
      await eventually(async () => (await other.get('k')) === undefined, 1_000)
      expect(await other.getOrLoad('k', () => 'loaded')).toBe('loaded')
      await other.delete('k')
    }
  })
})

describe('fault: clocks and processes', () => {
  it.each([5_000, 60_000, -60_000])(
    'entry written by a node whose clock is %i ms ahead, then its tag invalidated: the invalidation holds',
    async (skewMs) => {
      const namespace = uniqueName('cache')
      const clock = { ...systemClock, now: () => Date.now() + skewMs }
      const [skewed] = await openCaches(1, { namespace, redis: redis.url, clock })
      const [right] = await openCaches(1, { namespace, redis: redis.url })
      await skewed?.set('k', 'old', { tags: ['t'] })
      await skewed?.getOrLoad('l', () => 'old', { tags: ['t'] })
      expect(await right?.getMany(['k', 'l'])).toEqual(
        new Map([
          ['k', 'old'],
          ['l', 'old'],
        ]),
      )
      await right?.invalidateTags(['t'])
      await eventually(() => skewed?.peek('k') === undefined && skewed?.peek('l') === undefined)
      for (const cache of [skewed, right]) expect((await cache?.getMany(['k', 'l']))?.size).toBe(0)
      await right?.set('k', 'new', { tags: ['t'] })
      await eventually(async () => (await skewed?.get('k')) === 'new')
      await skewed?.invalidateTags(['t'])
      await eventually(() => right?.peek('k') === undefined)
      expect(await right?.get('k')).toBeUndefined()
    },
  )

  it.each([60_000, -60_000])(
    'an entry lives as long as it should where clocks are %i ms apart',
    async (skewMs) => {
      const namespace = uniqueName('cache')
      const clock = { ...systemClock, now: () => Date.now() + skewMs }
      const [skewed] = await openCaches(1, { namespace, redis: redis.url, clock })
      const [right] = await openCaches(1, { namespace, redis: redis.url })
      const options = { ttlMs: 1_500 }
      for (const [writer, reader] of [
        [skewed, right],
        [right, skewed],
      ]) {
        const beganMs = performance.now()
        await writer?.set('k', 1, options)
        await writer?.getOrLoad('l', () => 1, options)
        await eventually(() => performance.now() - beganMs > 700)
        // Only now, so that memory has to know how old it is already.
        expect((await reader?.getMany(['k', 'l']))?.size).toBe(2)
        await eventually(() => reader?.peek('k') === undefined && reader?.peek('l') === undefined)
        const livedMs = performance.now() - beganMs
        expect(livedMs).toBeGreaterThan(1_400)
        expect(livedMs).toBeLessThan(2_000)
      }
    },
  )

  it('another process takes a load over within the lease time when its holder is killed', async () => {
    const namespace = uniqueName('cache')
    const file = fileURLToPath(new URL('holding-process.ts', import.meta.url))
    const holder = fork(file, [redis.url, namespace], { execArgv: ['--conditions=@dharma/source'] })
    onTestFinished(() => void holder.kill('SIGKILL'))
    await once(holder, 'message')
    const [cache] = await openCaches(1, { namespace, redis: redis.url, leaseMs: 500 })
    const beganMs = performance.now()
    const read = cache?.getOrLoad('k', () => 'taken over')
    holder.kill('SIGKILL')
    expect(await read).toBe('taken over')
    expect(performance.now() - beganMs).toBeLessThan(1_000)
  })

  it('a cache starts and works without Redis, and begins to use it when it comes', async () => {
    await redis.kill()
    const cache = createCache({ namespace: uniqueName('cache'), redis: redis.url })
    onTestFinished(() => cache.close())
    await expect(cache.ready(200)).rejects.toThrow('to Redis did not end within 200 ms')
    expect(await cache.getOrLoad('k', () => 1)).toBe(1)
    await redis.restart()
    await cache.ready()
    await eventually(async () => (await cache.set('k', 2)).status === 'done')
  })
})
